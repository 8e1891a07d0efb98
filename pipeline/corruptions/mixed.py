"""Two kinds of damage on one picture."""

import numpy as np

from pipeline.corruptions import holes
from pipeline.datasets.silhouettes import Silhouette
from pipeline.params import Corrupt, HoleCorruption


def corrupt(
    image: np.ndarray, rng: np.random.Generator, params: Corrupt, silhouette: Silhouette | None
) -> tuple[np.ndarray, np.ndarray]:
    """Damage the picture by one kind, and the result by another.

    `lowres` is not among them: its mask, the whole picture, would hide where the other damage lies.

    Args:
        image: uint8 RGB HWC.
        rng: draws the two kinds, and their damage.
        params: `mixed.kinds`, and the kinds' own sections.
        silhouette: for `object`; None leaves it out.

    Returns:
        uint8 RGB HWC, and bool HW, the union of the two masks.
    """
    first, second = rng.choice(kinds(params, silhouette is not None), 2, replace=False)
    once, mask = holes.corrupt(first, image, rng, params, silhouette)
    twice, other = holes.corrupt(second, once, rng, params, silhouette)
    return twice, mask | other


def kinds(params: Corrupt, with_object: bool) -> list[HoleCorruption]:
    """The kinds to choose two of."""
    return [kind for kind in params.mixed.kinds if kind != "object" or with_object]
