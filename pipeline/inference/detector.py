"""Where the damage of a picture is, as a trained detector finds it: `Detector`, and `mark`, which decides."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pipeline.inference import backends
from pipeline.inference.conversions import pixels_of, upright, with_channels, with_grey_for_nan
from pipeline.inference.model_files import DETECTOR, find_model
from pipeline.inference.pyramid import as_float, shrink, tiles, within
from pipeline.inference.restorer import NOT_FINITE
from pipeline.runtime.errors import UserError

SMALLEST = 256  # px: up to this side a picture is looked at at its own scale alone
MOST = 4_000_000  # px: a larger picture is looked at at its own scale only where half of it has a hint
HINT = 0.1  # of a probability
TILE, MARGIN = (
    832,
    96,
)  # px: what is looked at at once, and what around it: farther pixels change a probability by 0.002
SURE = (
    0.95  # of val photos without damage the model that ships marks 0.2 % of the pixels from here on, 1.7 % from 0.5 on
)
DOUBTFUL = 0.5  # times the threshold: above it, what touches something sure is marked, and else counted as doubtful


class Detector:
    """Finds the damage of pictures with one trained network; threads may share it.

    >>> mask, doubtful = mark(Detector.load()(Image.open("scan.png")))
    """

    def __init__(self, find: backends.Find, name: str = "the model") -> None:
        self.find, self.name = find, name

    @classmethod
    def load(cls, source: str | Path = DETECTOR) -> "Detector":
        """A trained detector: the one that ships, a model folder, an ONNX file, or a URI of MLflow.

        The URI is such as `models:/mendline-detector@champion`.

        Raises:
            UserError: there is no such model, it finds no damage, or what runs it is not installed.
        """
        return cls(backends.load_detector(find_model(source)), str(source))

    def __call__(self, image: Image.Image | np.ndarray) -> np.ndarray:
        """The probability that each pixel is damaged, at the picture's own scale or at half of it, the larger one.

        A scratch of a scan may be wider than any of the training. A large picture is looked at at half of its scale
        first, and then at its own only where that gives a hint.

        Args:
            image: a PIL image of mode L or RGB, which EXIF turns; or an array HW or HWC of 1 or 3 channels, uint8,
                uint16, or float32 in [0, 1].

        Returns:
            float32 HW in [0, 1].

        Raises:
            TypeError, ValueError: neither of these, or a number that is none.
            UserError: what the network gives is not finite.
        """
        pixels = with_channels(pixels_of(upright(image)))
        if pixels.ndim != 3:
            raise ValueError(f"pictures of shape {pixels.shape}; expected one, HW or HWC")
        pixels = with_grey_for_nan(pixels, np.zeros(pixels.shape[:2], bool))
        if pixels.shape[-1] == 1:
            pixels = pixels.repeat(3, axis=-1)
        height, width = pixels.shape[:2]
        everywhere = np.ones((height, width), bool)
        if max(height, width) <= SMALLEST:
            return self._in_tiles(pixels, everywhere)
        small = shrink(pixels, 0.5)
        coarse = self._in_tiles(small, np.ones(small.shape[:2], bool))
        coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.maximum(coarse, self._in_tiles(pixels, coarse > HINT if height * width > MOST else everywhere))

    def _in_tiles(self, pixels: np.ndarray, where: np.ndarray) -> np.ndarray:
        """The probability at one scale where it is asked for, and in what of a tile lies about that; elsewhere 0."""
        probability = np.zeros(pixels.shape[:2], np.float32)
        for tile, around in tiles(where, TILE, MARGIN):
            probability[tile] = self.find(as_float(pixels[around]))[within(tile, around)]
        if not np.isfinite(probability).all():
            raise UserError(f"{self.name}: {NOT_FINITE}")
        return probability


def mark(probability: np.ndarray, threshold: float = SURE) -> tuple[np.ndarray, int]:
    """What is damaged, with hysteresis (Canny 1986, section VI): connected regions that are sure somewhere, as a whole.

    A region is of pixels above `DOUBTFUL` times the threshold, and sure where one of them is above the threshold.

    Args:
        probability: float HW in [0, 1], of a damaged pixel.
        threshold: in [0, 1]; a lower one marks more.

    Returns:
        bool HW, and the number of regions that are nowhere sure, and so not marked.
    """
    count, regions = cv2.connectedComponents((probability > DOUBTFUL * threshold).astype(np.uint8))
    sure = np.zeros(count, bool)
    sure[regions[probability > threshold]] = True
    return sure[regions], count - 1 - int(sure.sum())
