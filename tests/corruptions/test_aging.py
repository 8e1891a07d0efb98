import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from pipeline.corruptions.aging import age

PHOTO = data.chelsea()[:128, :128]
AGED = [age(PHOTO, np.random.default_rng(seed)) for seed in range(60)]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_picture_grows_old_and_the_seed_decides_how(height, width, seed):
    image = np.random.default_rng(seed).integers(256, size=(height, width, 3)).astype(np.uint8)
    once, again = (age(image, np.random.default_rng(seed)) for _ in range(2))
    assert once.shape == image.shape and once.dtype == np.uint8
    assert np.array_equal(once, again)


def test_some_are_grey_some_are_toned_and_some_keep_their_colours():
    grey = [(photo == photo[..., :1]).all() for photo in AGED]
    hue = [np.ptp(photo.astype(float).mean((0, 1))) for photo in AGED]
    assert 0.1 < np.mean(grey) < 0.5
    assert any(value > 20 for value in hue) and len({photo.tobytes() for photo in AGED}) == 60


def test_they_lose_contrast_and_gain_grain():
    assert np.mean([photo.std() for photo in AGED]) < 0.9 * PHOTO.std()
    assert np.mean([photo.min() for photo in AGED]) > PHOTO.min() + 10
    flat = np.full((64, 64, 3), 128, np.uint8)
    noise = [np.diff(age(flat, np.random.default_rng(seed)).astype(float), axis=1).std() for seed in range(60)]
    assert min(noise) < 1.5 and max(noise) > 5


def test_light_falls_unevenly_and_edges_soften():
    flat, edge = np.full((96, 96, 3), 128, np.uint8), np.zeros((96, 96, 3), np.uint8)
    edge[:, 48:] = 255
    slopes, steps = [], []
    for seed in range(40):
        old = age(flat, np.random.default_rng(seed)).astype(float).mean(-1)
        slopes.append(np.ptp([old[:24].mean(), old[-24:].mean(), old[:, :24].mean(), old[:, -24:].mean()]))
        row = age(edge, np.random.default_rng(seed)).astype(float).mean((0, 2))
        steps.append((row[48] - row[47]) / (row[60:].mean() - row[:36].mean()))
    assert max(slopes) > 6
    assert min(steps) < 0.7 < max(steps)


def test_the_picture_is_still_there():
    grey = PHOTO.mean(axis=-1).ravel()
    likeness = [np.corrcoef(grey, photo.mean(axis=-1).ravel())[0, 1] for photo in AGED]
    assert min(likeness) > 0.85
