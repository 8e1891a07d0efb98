import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from pipeline.images.revive import revive

PHOTO = data.chelsea()
NOWHERE = np.zeros(PHOTO.shape[:2], bool)
FADED = (PHOTO * np.array([0.6, 0.55, 0.5]) + np.array([90, 70, 30])).round().astype(np.uint8)


def test_a_faded_picture_gets_its_contrast_back():
    revived = revive(FADED, NOWHERE)
    assert revived.std() > 1.4 * FADED.std()
    luma = revived @ np.array([0.299, 0.587, 0.114])
    assert luma.min() < 10 and luma.max() > 215


def test_as_much_of_the_cast_goes_as_asked():
    casts = [np.ptp(revive(FADED, NOWHERE, cast).reshape(-1, 3).mean(0)) for cast in (0.0, 0.5, 1.0)]
    assert casts[0] > casts[1] + 10 > casts[2] + 20
    known = revive(FADED, NOWHERE, 1.0)
    assert ((known == 0).mean((0, 1)) < 0.02).all() and ((known == 255).mean((0, 1)) < 0.02).all()
    assert (known.max((0, 1)) == 255).all() and (known.min((0, 1)) == 0).all()


def test_what_was_filled_in_decides_nothing():
    torn, hole = FADED.copy(), NOWHERE.copy()
    hole[:60], torn[:60] = True, 255
    black = np.where(hole[..., None], 0, FADED).astype(np.uint8)
    assert np.array_equal(revive(torn, hole)[60:], revive(black, hole)[60:])
    assert not np.array_equal(revive(torn, NOWHERE)[60:], revive(torn, hole)[60:])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1), st.sampled_from([np.uint8, np.uint16]))
def test_any_picture_keeps_its_shape_its_depth_and_its_order(height, width, seed, depth):
    rng = np.random.default_rng(seed)
    picture = rng.integers(np.iinfo(depth).max + 1, size=(height, width, 3)).astype(depth)
    revived = revive(picture, rng.random((height, width)) < 0.5, rng.random())
    assert revived.shape == picture.shape and revived.dtype == depth
    for before, after in zip(np.moveaxis(picture, -1, 0), np.moveaxis(revived, -1, 0), strict=True):
        assert (np.diff(after.ravel()[before.ravel().argsort(kind="stable")].astype(int)) >= 0).all()


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_flat_picture_stays(level):
    flat = np.full((20, 30, 3), level, np.uint8)
    assert np.array_equal(revive(flat, np.zeros((20, 30), bool)), flat)


def test_sixteen_bits_are_stretched_as_eight_are():
    fine = revive(FADED.astype(np.uint16) * 257, NOWHERE)
    assert np.abs(fine / 257 - revive(FADED, NOWHERE)).max() < 2


def test_grey_stays_grey():
    grey = FADED[..., :1].repeat(3, -1)
    revived = revive(grey, NOWHERE, 1)
    assert (revived == revived[..., :1]).all()
