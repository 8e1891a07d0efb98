import cv2
import numpy as np
import pytest

from pipeline.corruptions import hair

from .made import PARAMS

GREEN = np.full((128, 128, 3), (30, 160, 60), np.uint8)


def hairy(seed, **update):
    return hair.corrupt(GREEN, np.random.default_rng(seed), PARAMS.hair.model_copy(update=update))


@pytest.mark.parametrize("seed", range(8))
def test_a_hair_is_thin_and_whole(seed):
    _, mask = hairy(seed, count=[1, 1], length=[0.3, 0.3])
    half_width = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5).max()
    assert half_width <= 2.5
    assert cv2.connectedComponents(mask.astype(np.uint8))[0] <= 3  # it may leave the picture and come back


def test_a_longer_hair_touches_more():
    short, long = (np.median([hairy(s, count=[1, 1], length=[n, n])[1].sum() for s in range(15)]) for n in (0.1, 0.4))
    assert 2.5 < long / short < 5


def test_hairs_curl():
    """Between its ends it does not lie on a straight line, unlike a scratch."""

    def bend(seed):
        points = np.argwhere(hairy(seed, count=[1, 1], length=[0.4, 0.4], width=[0.004, 0.004])[1]).astype(float)
        return np.linalg.svd(points - points.mean(0), compute_uv=False)[1] / np.sqrt(len(points))

    assert np.median([bend(seed) for seed in range(15)]) > 2
