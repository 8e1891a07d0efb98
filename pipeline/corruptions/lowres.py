"""Too few pixels: downsampled."""

import numpy as np
from PIL import Image

from pipeline.images.resize import resize, shrunk_size


def corrupt(image: np.ndarray, factor: int, rng: np.random.Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Shrink by a factor with the bicubic filter, antialiased.

    The super-resolution field's protocol, bicubic degradation (Timofte et al., NTIRE 2017); Pillow's kernel, which
    has a = -0.5 as MATLAB's `imresize` has.

    Args:
        image: uint8 RGB HWC.
        factor: how many times smaller.
        rng: not used: nothing is left to chance.

    Returns:
        uint8 RGB HWC, the small picture; and bool HW of the size that `image` has, true everywhere.
    """
    small = resize(image, shrunk_size(image.shape, factor), Image.Resampling.BICUBIC)
    return small, np.ones(image.shape[:2], bool)
