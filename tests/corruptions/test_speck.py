import numpy as np
import pytest

from pipeline.corruptions import speck

from .made import PARAMS, picture


def specked(seed, share, image=None):
    image = picture(96, 96) if image is None else image
    params = PARAMS.speck.model_copy(update={"share": [share, share]})
    return speck.corrupt(image, np.random.default_rng(seed), params)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5])
def test_as_many_pixels_are_lost_as_asked_each_on_its_own(share):
    _, mask = specked(0, share)
    assert mask.mean() == pytest.approx(share, rel=0.2)
    assert (mask[1:] & mask[:-1]).mean() == pytest.approx(share**2, abs=0.02)


def test_a_tiny_picture_loses_one_pixel_at_least():
    assert all(specked(seed, 0.001, np.zeros((3, 3, 3), np.uint8))[1].any() for seed in range(50))


def test_they_turn_black_or_black_and_white_or_of_any_colour():
    grey = np.full((64, 64, 3), 128, np.uint8)
    seen = set()
    for seed in range(20):
        corrupted, mask = specked(seed, 0.3, grey)
        seen.add(min(len(np.unique(corrupted[mask], axis=0)), 3))
    assert seen == {1, 2, 3}
