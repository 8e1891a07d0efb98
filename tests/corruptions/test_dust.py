import cv2
import numpy as np
import pytest

from pipeline.corruptions import dust

from .made import PARAMS

GREEN = np.full((128, 128, 3), (30, 160, 60), np.uint8)


def dusty(seed, **update):
    return dust.corrupt(GREEN, np.random.default_rng(seed), PARAMS.dust.model_copy(update=update))


@pytest.mark.parametrize("seed", range(5))
def test_flecks_are_many_and_small(seed):
    _, mask = dusty(seed, count=[100, 100])
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    assert 60 < count - 1 <= 100  # some touch each other
    assert np.median(stats[1:, cv2.CC_STAT_AREA]) < 20


def test_a_fleck_is_as_large_as_asked():
    areas = [[dusty(seed, count=[1, 1], radius=[r, r])[1].sum() for seed in range(20)] for r in (0.02, 0.08)]
    small, large = map(np.median, areas)
    assert 8 < large / small < 20


@pytest.mark.parametrize("seed", range(8))
def test_all_flecks_have_one_tone_through_which_nothing_shines(seed):
    corrupted, mask = dusty(seed, radius=[0.05, 0.05])
    colors, counts = np.unique(corrupted[mask], axis=0, return_counts=True)
    covered, second = np.sort(counts)[::-1][:2]
    assert covered > 0.3 * mask.sum() > 5 * second  # the others are soft edges
    tone = colors[counts.argmax()].astype(int)
    assert np.ptp(tone) < 40 and not 90 < tone.mean() < 170
