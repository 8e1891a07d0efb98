import numpy as np

from pipeline.corruptions import mixed

from .made import picture


def cover(kind: str, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A stripe in black for each kind."""
    mask = np.zeros(image.shape[:2], bool)
    mask[:, 10 * int(kind) : 10 * int(kind) + 5] = True
    return np.where(mask[..., None], np.uint8(0), image), mask


def test_one_of_two_different_kinds_is_laid_over_the_other():
    drawn = set()
    for seed in range(30):
        corrupted, mask = mixed.corrupt(picture(32, 32) | 1, np.random.default_rng(seed), ["0", "1", "2"], cover)
        stripes = mask[0, [0, 10, 20]]
        assert stripes.sum() == 2
        assert np.array_equal(mask, (corrupted == 0).all(axis=2))
        drawn.add(tuple(stripes))
    assert len(drawn) == 3
