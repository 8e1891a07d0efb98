"""Square pictures cut from photos."""

import numpy as np
from PIL import Image


def crop_square(photo: np.ndarray, rng: np.random.Generator, least: float, size: int) -> np.ndarray:
    """Cut a random square and resize it, bicubic, with antialiasing where it gets smaller.

    Args:
        photo: uint8 RGB HWC.
        rng: draws the square's side and place.
        least: the smallest side, as a share of the photo's shorter one; the largest is all of that.
        size: side of the result, in px.

    Returns:
        uint8 RGB HWC, `size` by `size`.
    """
    height, width = photo.shape[:2]
    side = max(1, round(min(height, width) * rng.uniform(least, 1)))
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    cut = Image.fromarray(photo[top : top + side, left : left + side])
    return np.array(cut.resize((size, size), Image.Resampling.BICUBIC))
