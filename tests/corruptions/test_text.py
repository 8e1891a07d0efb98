import numpy as np
import pytest

from pipeline.corruptions import text

from .made import PARAMS

GREY = np.full((128, 192, 3), 128, np.uint8)


def written(seed, **update):
    return text.corrupt(GREY, np.random.default_rng(seed), PARAMS.text.model_copy(update=update))


@pytest.mark.parametrize("seed", range(8))
def test_letters_have_one_ink_and_soft_edges(seed):
    corrupted, mask = written(seed, height=[0.2, 0.2])
    colors, counts = np.unique(corrupted[mask], axis=0, return_counts=True)
    assert counts.max() > 0.2 * mask.sum()
    assert len(colors) > 3


def test_a_line_is_as_high_as_asked():
    """A capital is; some letters go above or below it."""

    def height(seed, share):
        return np.ptp(np.nonzero(written(seed, count=[1, 1], height=[share, share])[1].any(axis=1))) + 1

    low, high = (np.median([height(seed, share) for seed in range(20)]) for share in (0.1, 0.2))
    assert 0.09 * 128 < low < 0.18 * 128
    assert 1.5 < high / low < 2.3


def test_it_is_written_in_black_in_white_and_in_colour():
    inks = [
        tuple(corrupted[mask][np.abs(corrupted[mask].astype(int) - 128).sum(axis=1).argmax()])
        for corrupted, mask in map(written, range(24))
    ]
    assert (0, 0, 0) in inks and (255, 255, 255) in inks
    assert any(np.ptp(ink) > 60 for ink in np.array(inks, int))
