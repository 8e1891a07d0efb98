"""Pictures of more pixels, by a trained network that works at low resolution: `Enlarger`."""

from numbers import Real
from pathlib import Path

import numpy as np

from pipeline.inference import backends
from pipeline.inference.conversions import as_kind_of, pixels_of, upright, with_channels, with_grey_for_nan
from pipeline.inference.model_files import find_model
from pipeline.inference.pyramid import Box, as_float, as_kind, widen, within
from pipeline.inference.restorer import NOT_FINITE, Pictures, is_grey
from pipeline.runtime.errors import UserError, excerpt

SHARP, DEGRADED = "superres", "superres-degraded"  # those that ship
BY_COMPRESSION = [SHARP, DEGRADED]  # for pictures that were not compressed, and for those that were
FACTORS = (2, 3, 4)  # what every model enlarges by
TILE = 224  # px: side of what is enlarged at once; what a processor's cache holds takes two thirds of the time


class Enlarger:
    """Enlarges pictures with a trained network, or with two, of which one is faithful and one draws texture.

    Threads may share it.

    >>> Enlarger.load()(Image.open("small.png"), 2).save("large.png")
    """

    def __init__(
        self, enlarge: backends.Enlarge, reach: int, name: str = "the model", texture: "Enlarger | None" = None
    ) -> None:
        """Of a network that looks at `reach` px around each of the small picture, and one for a lower fidelity."""
        self.enlarge, self.reach, self.name, self.texture = enlarge, reach, name, texture

    @classmethod
    def load(cls, source: str | Path = SHARP, texture: str | Path | None = None) -> "Enlarger":
        """A trained enlarger, and another to draw texture.

        Args:
            source: a model folder, an ONNX file, a URI of MLflow, or the name of one that ships: `superres` for sharp
                pictures, `superres-degraded` for those that went through JPEG, a camera's blur or noise.
            texture: the same of a model that learned to draw texture, for a fidelity below 1; none ships.

        Raises:
            UserError: there is no such model, it restores or finds damage, or what runs it is not installed.
        """
        return cls(*backends.load_enlarger(find_model(source)), str(source), cls.load(texture) if texture else None)

    def __call__(self, image: Pictures, factor: int = 2, fidelity: float = 1) -> Pictures:
        """A picture, or a batch of them, with sides `factor` times as long.

        Args:
            image: a PIL image of mode L or RGB; an array HW, HWC or NHWC of 1 or 3 channels, uint8, uint16, or float32
                in [0, 1]; or a tensor CHW or NCHW of 1 or 3 channels, uint8, or floating in [0, 1].
            factor: 2, 3 or 4.
            fidelity: 1 for what is likeliest, which is soft, 0 for texture; between them the mean of both, so weighted.

        Returns:
            As `image`; a PIL image upright, with the ICC profile, the resolution and EXIF in its `info`.

        Raises:
            TypeError, ValueError: neither of these, another factor or fidelity, a number that is none, or a fidelity
                below 1 of a network alone.
            UserError: what the network gives is not finite.
        """
        if factor not in FACTORS:
            raise ValueError(f"a factor of {factor!r}; expected one of {', '.join(map(str, FACTORS))}")
        if not (isinstance(fidelity, Real) and 0 <= fidelity <= 1):
            raise ValueError(f"fidelity={excerpt(fidelity)}; expected a number from 0 to 1")
        if fidelity < 1 and not self.texture:
            raise ValueError(f"fidelity={fidelity:g}; expected 1, or a model for texture beside {self.name}")
        shown = upright(image)
        pixels = pixels_of(shown)
        if with_channels(pixels).ndim == 3:
            return as_kind_of(shown, self._larger(pixels, int(factor), fidelity))
        return as_kind_of(image, np.stack([self._larger(picture, int(factor), fidelity) for picture in pixels]))

    def _larger(self, image: np.ndarray, factor: int, fidelity: float) -> np.ndarray:
        """One, HW or HWC."""
        pixels = with_channels(image)
        everywhere = np.ones(pixels.shape[:2], bool)
        pixels = with_grey_for_nan(pixels, ~everywhere)
        colours = pixels if pixels.shape[-1] == 3 else pixels.repeat(3, axis=-1)
        grey = is_grey(pixels, everywhere)
        height, width = pixels.shape[:2]
        large = np.empty((height * factor, width * factor, pixels.shape[-1]), pixels.dtype)
        for tile in tiles(height, width):
            made = self._blend(colours, tile, factor, fidelity)
            large[scaled(tile, factor)] = as_kind(made.mean(-1, keepdims=True) if grey else made, pixels.dtype)
        return large.reshape(*large.shape[:2], *image.shape[2:])

    def _blend(self, colours: np.ndarray, tile: Box, factor: int, fidelity: float) -> np.ndarray:
        """A box of the picture (HW3), enlarged as faithfully as asked."""
        if self.texture and fidelity < 1:
            textured = self.texture._enlarge_box(colours, tile, factor)
            return textured + fidelity * (self._enlarge_box(colours, tile, factor) - textured) if fidelity else textured
        return self._enlarge_box(colours, tile, factor)

    def _enlarge_box(self, colours: np.ndarray, tile: Box, factor: int) -> np.ndarray:
        around = widen(tile[0], colours.shape[0], self.reach), widen(tile[1], colours.shape[1], self.reach)
        made = self.enlarge(as_float(colours[around]), factor)
        if not np.isfinite(made).all():
            raise UserError(f"{self.name}: {NOT_FINITE}")
        return made[scaled(within(tile, around), factor)]


def tiles(height: int, width: int) -> list[Box]:
    """Boxes that together are the picture."""
    tops, lefts = range(0, height, TILE), range(0, width, TILE)
    return [
        (slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))) for top in tops for left in lefts
    ]


def scaled(box: Box, factor: int) -> Box:
    """The box in the large picture."""
    down, across = (slice(side.start * factor, side.stop * factor) for side in box)
    return down, across
