"""Pictures of more pixels, by a trained network that works at low resolution: `Enlarger`."""

from pathlib import Path

import numpy as np

from pipeline.inference import backends
from pipeline.inference.conversions import as_kind_of, pixels_of, upright, with_channels, with_grey_for_nan
from pipeline.inference.model_files import MODELS, find_model
from pipeline.inference.pyramid import Box, as_float, as_kind, widen, within
from pipeline.inference.restorer import NOT_FINITE, Pictures, is_grey
from pipeline.runtime.errors import UserError

FACTORS = (2, 3, 4)  # what every model enlarges by
TILE = 224  # px: side of what is enlarged at once; what a processor's cache holds takes two thirds of the time


class Enlarger:
    """Enlarges pictures with one trained network; threads may share it.

    >>> Enlarger.load()(Image.open("small.png"), 2).save("large.png")
    """

    def __init__(self, enlarge: backends.Enlarge, reach: int, name: str = "the model") -> None:
        """Of a network that looks at `reach` px around each of the small picture."""
        self.enlarge, self.reach, self.name = enlarge, reach, name

    @classmethod
    def load(cls, source: str | Path = MODELS / "superres") -> "Enlarger":
        """A trained enlarger: a model folder, an ONNX file, a URI of MLflow, or `superres`, which ships.

        Raises:
            UserError: there is no such model, it restores or finds damage, or what runs it is not installed.
        """
        return cls(*backends.load_enlarger(find_model(source)), str(source))

    def __call__(self, image: Pictures, factor: int = 2) -> Pictures:
        """A picture, or a batch of them, with sides `factor` times as long.

        Args:
            image: a PIL image of mode L or RGB; an array HW, HWC or NHWC of 1 or 3 channels, uint8, uint16, or float32
                in [0, 1]; or a tensor CHW or NCHW of 1 or 3 channels, uint8, or floating in [0, 1].
            factor: 2, 3 or 4.

        Returns:
            As `image`; a PIL image upright, with the ICC profile, the resolution and EXIF in its `info`.

        Raises:
            TypeError, ValueError: neither of these, another factor, or a number that is none.
            UserError: what the network gives is not finite.
        """
        if factor not in FACTORS:
            raise ValueError(f"a factor of {factor!r}; expected one of {', '.join(map(str, FACTORS))}")
        shown = upright(image)
        pixels = pixels_of(shown)
        if with_channels(pixels).ndim == 3:
            return as_kind_of(shown, self._larger(pixels, int(factor)))
        return as_kind_of(image, np.stack([self._larger(picture, int(factor)) for picture in pixels]))

    def _larger(self, image: np.ndarray, factor: int) -> np.ndarray:
        """One, HW or HWC."""
        pixels = with_channels(image)
        everywhere = np.ones(pixels.shape[:2], bool)
        pixels = with_grey_for_nan(pixels, ~everywhere)
        colours = pixels if pixels.shape[-1] == 3 else pixels.repeat(3, axis=-1)
        grey = is_grey(pixels, everywhere)
        height, width = pixels.shape[:2]
        large = np.empty((height * factor, width * factor, pixels.shape[-1]), pixels.dtype)
        for tile in tiles(height, width):
            around = widen(tile[0], height, self.reach), widen(tile[1], width, self.reach)
            made = self.enlarge(as_float(colours[around]), factor)
            if not np.isfinite(made).all():
                raise UserError(f"{self.name}: {NOT_FINITE}")
            made = made[scaled(within(tile, around), factor)]
            large[scaled(tile, factor)] = as_kind(made.mean(-1, keepdims=True) if grey else made, pixels.dtype)
        return large.reshape(*large.shape[:2], *image.shape[2:])


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
