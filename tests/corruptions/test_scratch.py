import cv2
import numpy as np
import pytest

from pipeline.corruptions import scratch

from .made import PARAMS

RED = np.full((128, 128, 3), (180, 20, 20), np.uint8)


def scratched(seed, **update):
    return scratch.corrupt(RED, np.random.default_rng(seed), PARAMS.scratch.model_copy(update=update))


@pytest.mark.parametrize("seed", range(8))
def test_scratches_are_thin(seed):
    _, mask = scratched(seed, count=[1, 1])
    half_width = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5).max()
    assert half_width <= 3


def test_scratches_are_as_long_as_asked():
    def extent(seed, length):
        rows, columns = np.nonzero(scratched(seed, count=[1, 1], length=[length, length])[1])
        return np.hypot(np.ptp(rows), np.ptp(columns))

    short, long = (np.median([extent(seed, length) for seed in range(15)]) for length in (0.2, 1.5))
    assert 0.13 * 128 < short < 0.23 * 128
    assert long > 0.6 * 128


def test_scratches_are_light_or_dark_grey():
    tones = []
    for seed in range(30):
        corrupted, _ = scratched(seed, count=[1, 1], width=[0.05, 0.05])
        core = corrupted.reshape(-1, 3)[np.abs(corrupted.astype(int) - RED).sum(axis=2).argmax()]
        tones.append(core.mean())
        assert np.ptp(core.astype(int)) < 70
    assert min(tones) < 90 and max(tones) > 190
    assert not any(110 < tone < 160 for tone in tones)


def test_more_scratches_touch_more():
    few, many = (np.mean([scratched(seed, count=[n, n])[1].mean() for seed in range(10)]) for n in (1, 8))
    assert many > 4 * few
