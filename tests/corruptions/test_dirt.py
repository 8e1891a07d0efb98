import numpy as np
import pytest

from pipeline.corruptions import dirt

from .made import PARAMS

GREEN = np.full((128, 128, 3), (30, 160, 60), np.uint8)


def dirty(seed, **update):
    return dirt.corrupt(GREEN, np.random.default_rng(seed), PARAMS.dirt.model_copy(update=update))


def outline(mask):
    return np.abs(np.diff(mask.astype(int), axis=0)).sum() + np.abs(np.diff(mask.astype(int), axis=1)).sum()


def test_fine_dirt_is_flecks_and_coarse_dirt_is_blots():
    raggedness = []
    for grain in (0.004, 0.05):
        masks = [dirty(seed, grain=[grain, grain])[1] for seed in range(20)]
        raggedness.append(np.median([outline(mask) / np.sqrt(mask.sum()) for mask in masks]))
    fine, coarse = raggedness
    assert fine > 2 * coarse


def test_dirt_keeps_near_its_places():
    spread = []
    for reach in (0.03, 0.5):
        masks = [dirty(seed, count=[1, 1], grain=[0.005, 0.005], reach=[reach, reach])[1] for seed in range(30)]
        spread.append(np.median([np.argwhere(mask).std(0).mean() for mask in masks]))
    near, far = spread
    assert far > 2 * near


@pytest.mark.parametrize("opacity", [0.3, 1.0])
def test_as_much_shines_through_as_asked(opacity):
    for seed in range(10):
        corrupted, mask = dirty(seed, opacity=[opacity, opacity], grain=[0.03, 0.03])
        lost = np.abs(corrupted[mask].astype(float) - GREEN[0, 0]).max(0)
        assert lost.max() <= 255 * opacity + 1
        assert np.ptp(corrupted[mask], axis=0).max() > 0.1 * opacity * 255 or mask.sum() < 20  # soft edges


def test_light_dark_and_grey_dirt_come():
    tones = [corrupted[mask].mean() for corrupted, mask in map(dirty, range(60))]
    assert min(tones) < 60 and max(tones) > 180 and any(100 < tone < 150 for tone in tones)


def test_a_picture_of_one_pixel_is_dirty_too():
    corrupted, mask = dirt.corrupt(np.full((1, 1, 3), 90, np.uint8), np.random.default_rng(0), PARAMS.dirt)
    assert mask.all() and corrupted.shape == (1, 1, 3)
