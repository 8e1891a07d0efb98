"""Another look of a picture, by a network that was trained without pairs: `Translator`."""

from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from pipeline.inference import backends
from pipeline.inference.conversions import (
    as_kind_of,
    holes_of,
    pixels_of,
    upright,
    upright_mask,
    with_channels,
    with_grey_for_nan,
)
from pipeline.inference.model_files import STYLE, find_model
from pipeline.inference.pyramid import as_float, as_kind, tiles, within
from pipeline.inference.restorer import NOT_FINITE, Pictures
from pipeline.runtime.errors import UserError, excerpt

if TYPE_CHECKING:
    from pipeline.inference.restorer import Mask

SEAM = 8  # px inside the edge of a mask, over which the old look becomes the new one


class Translator:
    """Gives pictures the look that one network was trained for; threads may share it.

    >>> Translator.load()(Image.open("photo.png")).save("painting.png")
    """

    def __init__(self, translate: backends.Translate, name: str = "the model") -> None:
        self.translate, self.name = translate, name

    @classmethod
    def load(cls, source: str | Path = STYLE) -> "Translator":
        """A trained translator: a model folder, an ONNX file, a URI of MLflow, or the one that ships.

        Raises:
            UserError: there is no such model, it does something else, or what runs it is not installed.
        """
        return cls(backends.load_translator(find_model(source)), str(source))

    def __call__(self, image: Pictures, mask: "Mask | None" = None, strength: float = 1.0) -> Pictures:
        """A picture, or a batch of them, in the other look.

        Args:
            image: a PIL image of mode L or RGB; an array HW, HWC or NHWC of 1 or 3 channels, uint8, uint16, or float32
                in [0, 1]; or a tensor CHW or NCHW of 1 or 3 channels, uint8, or floating in [0, 1].
            mask: as `Restorer.__call__` takes it, one for all pictures: where it is true the look changes, over `SEAM`
                px inside its edge; None for everywhere.
            strength: 0 to 1: of the way from the old look to the new one.

        Returns:
            As `image`, and equal to it outside the mask; a PIL image upright, with what it says besides in its `info`.

        Raises:
            TypeError, ValueError: neither of these, a mask of another size, or a number that is none.
            UserError: what the network gives is not finite.
        """
        shown = upright(image)
        pixels = pixels_of(shown)
        hole = None if mask is None else holes_of(mask)
        if hole is not None and isinstance(image, Image.Image):
            hole = upright_mask(hole, image)
        if with_channels(pixels).ndim == 3:
            return as_kind_of(shown, self.change(pixels, hole, strength))
        return as_kind_of(image, np.stack([self.change(picture, hole, strength) for picture in pixels]))

    def change(self, image: np.ndarray, hole: np.ndarray | None = None, strength: float = 1.0) -> np.ndarray:
        """Arrays alone: one image as above, and bool HW."""
        if not (isinstance(strength, Real) and 0 <= strength <= 1):
            raise ValueError(f"strength={excerpt(strength)}; expected a number from 0 to 1")
        given = with_channels(image)
        pixels = with_grey_for_nan(given, np.zeros(given.shape[:2], bool))
        if hole is not None and hole.shape != pixels.shape[:2]:
            raise ValueError(
                f"a picture of shape {image.shape} and a mask of shape {hole.shape} do not fit; expected the same "
                "height and width"
            )
        where = np.ones(pixels.shape[:2], bool) if hole is None else hole
        weight = None if hole is None else blend(hole)
        colours = pixels if pixels.shape[-1] == 3 else pixels.repeat(3, axis=-1)
        changed = pixels.copy()
        for tile, around in tiles(where):
            made = self.translate(as_float(colours[around]))[within(tile, around)]
            if not np.isfinite(made).all():
                raise UserError(f"{self.name}: {NOT_FINITE}")
            if pixels.shape[-1] == 1:
                made = made.mean(-1, keepdims=True)
            before = as_float(pixels[tile])
            share = np.float32(strength) if weight is None else np.float32(strength) * weight[tile][..., None]
            mixed = as_kind(before + share * (made.clip(0, 1) - before), pixels.dtype)
            changed[tile] = np.where(where[tile][..., None], mixed, pixels[tile])
        return changed.reshape(image.shape)


def blend(hole: np.ndarray) -> np.ndarray:
    """How much of the new look there is: float32 HW, 0 outside the hole, and up to 1 `SEAM` px inside its edge.

    A hole that is nowhere so deep has 1 where it is deepest.
    """
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    if hole.all():  # it has no edge
        return np.ones(hole.shape, np.float32)
    return (depth / min(SEAM, max(depth.max(), 1))).clip(0, 1).astype(np.float32)
