import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corruptions import lowres

from .made import picture, pictures

FACTORS = [2, 3, 4, 8]


@settings(max_examples=40, deadline=None)
@given(image=pictures, factor=st.sampled_from(FACTORS))
def test_the_picture_is_so_many_times_smaller_and_all_of_it_is_to_be_restored(image, factor):
    corrupted, mask = lowres.corrupt(image, factor)
    assert corrupted.shape[:2] == tuple(max(1, round(side / factor)) for side in image.shape[:2])
    assert corrupted.shape[2] == 3 and corrupted.dtype == np.uint8
    assert mask.shape == image.shape[:2] and mask.all()


def test_the_larger_the_factor_the_less_is_left():
    details = [lowres.corrupt(picture(64, 64), factor)[0].std() for factor in FACTORS]
    assert details == sorted(details, reverse=True)


@pytest.mark.parametrize("factor", FACTORS)
def test_a_plain_picture_stays(factor):
    plain = np.full((50, 41, 3), (10, 120, 250), np.uint8)
    assert (lowres.corrupt(plain, factor)[0] == plain[0, 0]).all()


def test_fine_stripes_turn_grey_not_into_moire():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert lowres.corrupt(stripes, 4)[0][2:-2, 2:-2].std() < 5
