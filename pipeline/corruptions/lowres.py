"""Too few pixels: downsampled, and brought back to size."""

import numpy as np
from PIL import Image

from pipeline.params import Lowres


def corrupt(image: np.ndarray, rng: np.random.Generator, params: Lowres) -> tuple[np.ndarray, np.ndarray]:
    """Shrink by a random factor and enlarge again, both bicubic, the first with antialiasing.

    The super-resolution field's protocol, bicubic degradation (Timofte et al., NTIRE 2017); Pillow's kernel, which
    has a = -0.5 as MATLAB's `imresize` has.

    Args:
        image: uint8 RGB HWC.
        rng: draws the factor.
        params: the factors.

    Returns:
        uint8 RGB HWC, and bool HW, true everywhere.
    """
    height, width = image.shape[:2]
    factor = rng.choice(params.factors)
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    shrunk = Image.fromarray(image).resize(small, Image.Resampling.BICUBIC)
    corrupted = np.array(shrunk.resize((width, height), Image.Resampling.BICUBIC))
    return corrupted, np.ones((height, width), bool)
