"""Pictures brought to another size."""

import numpy as np
from PIL import Image


def resize(picture: np.ndarray, shape: tuple[int, ...], resampling: Image.Resampling) -> np.ndarray:
    """The picture (uint8 RGB HWC) at the height and width of `shape`; a smaller one is antialiased."""
    return np.array(Image.fromarray(picture).resize((shape[1], shape[0]), resampling))


def shrunk_size(shape: tuple[int, ...], factor: float) -> tuple[int, int]:
    """Height and width of a picture that was made so many times smaller, at least 1 px."""
    height, width = (max(1, round(side / factor)) for side in shape[:2])
    return height, width
