"""Too few pixels: downsampled, and brought back to size."""

import numpy as np
from PIL import Image


def corrupt(image: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Shrink by a factor and enlarge again, both bicubic, the first with antialiasing.

    The super-resolution field's protocol, bicubic degradation (Timofte et al., NTIRE 2017); Pillow's kernel, which
    has a = -0.5 as MATLAB's `imresize` has.

    Args:
        image: uint8 RGB HWC.
        factor: how many times smaller.

    Returns:
        uint8 RGB HWC, and bool HW, true everywhere.
    """
    return enlarge(shrink(image, factor), image.shape, Image.Resampling.BICUBIC), np.ones(image.shape[:2], bool)


def shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """The picture (uint8 RGB HWC) with every side `factor` times smaller, at least 1 px."""
    height, width = (max(1, round(side / factor)) for side in image.shape[:2])
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def enlarge(small: np.ndarray, shape: tuple[int, ...], resampling: Image.Resampling) -> np.ndarray:
    """The picture (uint8 RGB HWC) at the height and width of `shape`."""
    return np.array(Image.fromarray(small).resize((shape[1], shape[0]), resampling))
