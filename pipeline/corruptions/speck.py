"""Single pixels are lost: a dead sensor, bits of a transmission, salt and pepper."""

import numpy as np

from pipeline.corruptions.uniform import draw_amount
from pipeline.params import Speck


def corrupt(image: np.ndarray, rng: np.random.Generator, params: Speck) -> tuple[np.ndarray, np.ndarray]:
    """Replace pixels here and there, each on its own, by black, by black or white, or by any colour.

    Args:
        image: uint8 RGB HWC.
        rng: draws the share, the pixels, and what replaces them.
        params: share of the pixels.

    Returns:
        uint8 RGB HWC, and bool HW, true where a pixel was replaced: one at least.
    """
    mask = rng.random(image.shape[:2]) < draw_amount(rng, params.share)
    mask[tuple(rng.integers(image.shape[:2]))] = True
    match rng.integers(3):
        case 0:
            lost = np.zeros(image.shape, np.uint8)
        case 1:
            lost = np.broadcast_to(255 * rng.integers(2, size=(*image.shape[:2], 1), dtype=np.uint8), image.shape)
        case _:
            lost = rng.integers(256, size=image.shape, dtype=np.uint8)
    return np.where(mask[..., None], lost, image), mask
