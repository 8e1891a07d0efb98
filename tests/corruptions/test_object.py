import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.corruptions import object as cutout

from .made import PARAMS, disc, picture, seeds

sizes = st.integers(48, 128)


@settings(max_examples=60, deadline=None)
@given(height=sizes, width=sizes, radius=st.integers(10, 99), seed=seeds)
def test_the_area_is_as_asked(height, width, radius, seed):
    silhouette = disc(radius)
    assume(cutout.fits(silhouette, PARAMS.object, height, width))
    _, mask = cutout.corrupt(picture(height, width), np.random.default_rng(seed), PARAMS.object, silhouette)
    least, most = PARAMS.object.area
    assert 0.7 * least < mask.mean() < 1.1 * most


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_the_scale_is_relative_to_its_own_photo(scale):
    params = PARAMS.object.model_copy(update={"scale": [scale, scale], "area": [0.001, 0.9]})
    _, mask = cutout.corrupt(picture(100, 100), np.random.default_rng(0), params, disc(radius=50, side=200))
    assert np.ptp(np.nonzero(mask), axis=1) + 1 == pytest.approx(50 * scale, abs=1)


def test_the_silhouette_is_whole_and_of_one_color():
    corrupted, mask = cutout.corrupt(picture(100, 100), np.random.default_rng(0), PARAMS.object, disc())
    height, width = np.ptp(np.nonzero(mask), axis=1) + 1
    assert mask.sum() == pytest.approx(np.pi / 4 * height * width, rel=0.05)
    assert len(np.unique(corrupted[mask], axis=0)) == 1


def test_it_moves():
    params = PARAMS.object.model_copy(update={"scale": [0.5, 0.5]})
    masks = [cutout.corrupt(picture(90, 90), np.random.default_rng(seed), params, disc())[1] for seed in range(12)]
    centers = np.array([np.mean(np.nonzero(mask), axis=1) for mask in masks])
    assert (np.ptp(centers, axis=0) > 25).all()


def test_silhouettes_too_small_or_too_large_do_not_fit():
    assert cutout.fits(disc(50), PARAMS.object, 128, 128)
    assert not cutout.fits(disc(5), PARAMS.object, 128, 128)
    large = PARAMS.object.model_copy(update={"scale": [1.5, 1.5]})
    assert not cutout.fits(disc(90), large, 128, 128)


def test_its_area_is_capped_by_the_largest_hole():
    params = cutout.cap_area(PARAMS.model_copy(update={"max_hole": 0.1}))
    assert params.object.area[1] < 0.1
    assert cutout.cap_area(PARAMS).object.area == PARAMS.object.area
