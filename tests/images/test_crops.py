import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.images import crops

GRADIENT = np.stack([np.tile(np.arange(200, dtype=np.uint8), (100, 1))] * 3, axis=2)


@settings(deadline=None)
@given(height=st.integers(1, 120), width=st.integers(1, 120), size=st.sampled_from([16, 64]), seed=st.integers(0, 99))
def test_any_photo_gives_a_square(height, width, size, seed):
    photo = np.full((height, width, 3), (9, 99, 199), np.uint8)
    square = crops.crop_square(photo, np.random.default_rng(seed), 0.6, size)
    assert square.shape == (size, size, 3) and square.dtype == np.uint8
    assert (square == (9, 99, 199)).all()


def test_the_square_is_as_large_as_asked():
    def extent(least):
        drawn = [crops.crop_square(GRADIENT, np.random.default_rng(seed), least, 50) for seed in range(40)]
        return [np.ptp(square[0, :, 0].astype(int)) for square in drawn]

    assert min(extent(1.0)) >= 96
    assert 55 <= min(extent(0.6)) <= 65


def test_the_square_lies_anywhere():
    lefts = [crops.crop_square(GRADIENT, np.random.default_rng(seed), 1, 50)[0, 0, 0] for seed in range(60)]
    assert min(lefts) < 10 and max(lefts) > 90


def test_fine_stripes_turn_grey_not_into_moire():
    stripes = np.zeros((300, 300, 3), np.uint8)
    stripes[:, ::2] = 255
    assert crops.crop_square(stripes, np.random.default_rng(0), 1, 40)[4:-4, 4:-4].std() < 5
