import numpy as np
import pytest
from skimage import data

from pipeline.corruptions import degraded, lowres
from pipeline.metrics.image_quality import psnr

PHOTO = data.chelsea()[:240, :240]


def degrade(factor, seed, picture=PHOTO):
    return degraded.corrupt(picture, factor, np.random.default_rng(seed))


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(240, 240), (31, 50), (1, 1)])
def test_the_picture_is_so_many_times_smaller_and_all_of_it_is_to_be_restored(factor, size):
    for seed in range(10):
        small, mask = degrade(factor, seed, PHOTO[: size[0], : size[1]])
        expected, _ = lowres.corrupt(PHOTO[: size[0], : size[1]], factor)
        assert small.shape == expected.shape and small.dtype == np.uint8
        assert mask.shape == size and mask.all()


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_it_is_the_same_picture_at_the_same_place(factor):
    reference = lowres.corrupt(PHOTO, factor)[0]
    for seed in range(40):
        small = degrade(factor, seed)[0]
        moved = [np.roll(reference, step, axis) for axis in (0, 1) for step in (1, -1)]
        here = psnr(small[None], reference[None]).item()
        assert here > 20
        assert here > max(psnr(small[None], each[None]).item() for each in moved)


def test_some_are_blurred_some_noisy_and_some_compressed():
    flat = np.full((96, 96, 3), (90, 120, 150), np.uint8)
    noise = [degrade(2, seed, flat)[0].astype(float).std((0, 1)).max() for seed in range(80)]
    assert 0.2 < np.mean(np.array(noise) < 0.6) < 0.8 and max(noise) > 3
    detail = [np.abs(np.diff(degrade(2, seed)[0].astype(float), axis=1)).mean() for seed in range(80)]
    assert min(detail) < 0.75 * np.median(detail)
    assert len({degrade(2, seed)[0].tobytes() for seed in range(80)}) > 60  # the others are shrunk and nothing else


def test_a_second_round_leaves_less(monkeypatch):
    reference = lowres.corrupt(PHOTO, 2)[0]
    left = []
    for share in (0.0, 1.0):
        monkeypatch.setattr(degraded, "TWICE", share)
        left.append(np.mean([psnr(degrade(2, seed)[0][None], reference[None]) for seed in range(30)]))
    assert left[1] < left[0] - 1
