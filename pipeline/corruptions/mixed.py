"""Two kinds of damage on one picture."""

from collections.abc import Callable

import numpy as np


def corrupt(
    image: np.ndarray,
    rng: np.random.Generator,
    kinds: list[str],
    corrupt_by: Callable[[str, np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Corrupt the picture by one kind, and the result by another.

    `lowres` is not among them: its mask, the whole picture, would hide where the other damage lies.

    Args:
        image: uint8 RGB HWC.
        rng: draws the two kinds.
        kinds: two or more to choose from.
        corrupt_by: a kind and a picture -> the corrupted picture and the mask.

    Returns:
        uint8 RGB HWC, and bool HW, the union of the two masks.
    """
    first, second = rng.choice(kinds, 2, replace=False)
    once, mask = corrupt_by(first, image)
    twice, other = corrupt_by(second, once)
    return twice, mask | other
