import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corruptions import lowres

from .made import picture, pictures

FACTORS = [2, 3, 4, 8]


@settings(max_examples=40, deadline=None)
@given(image=pictures, factor=st.sampled_from(FACTORS))
def test_the_whole_picture_is_to_be_restored_at_its_size(image, factor):
    corrupted, mask = lowres.corrupt(image, factor)
    assert corrupted.shape == image.shape and corrupted.dtype == np.uint8
    assert mask.shape == image.shape[:2] and mask.all()


def test_the_larger_the_factor_the_less_is_left():
    details = [lowres.corrupt(picture(64, 64), factor)[0].std() for factor in FACTORS]
    assert details == sorted(details, reverse=True)


@pytest.mark.parametrize("factor", FACTORS)
def test_a_plain_picture_stays(factor):
    plain = np.full((50, 41, 3), (10, 120, 250), np.uint8)
    assert np.array_equal(lowres.corrupt(plain, factor)[0], plain)


def test_fine_stripes_turn_grey_not_into_moire():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert lowres.corrupt(stripes, 4)[0][8:-8, 8:-8].std() < 5
