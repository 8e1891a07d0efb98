import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pipeline.metrics.image_quality import PSNR_CEILING, scores


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 256, (2, 40, 33, 3), dtype=np.uint8)
    restored = (target + rng.integers(0, 30, target.shape)).clip(0, 255).astype(np.uint8)
    mask = np.zeros((2, 40, 33), bool)
    mask[:, 10:20, 3:17] = True
    return restored, target, mask


def test_psnr_and_ssim_agree_with_scikit_image(pictures):
    restored, target, mask = pictures
    values = scores(restored, target, mask)
    for picture, truth, hole, psnr, ssim, in_hole in zip(
        restored, target, mask, values["psnr"], values["ssim"], values["psnr_hole"], strict=True
    ):
        assert psnr == pytest.approx(peak_signal_noise_ratio(truth, picture), abs=1e-3)
        assert in_hole == pytest.approx(peak_signal_noise_ratio(truth[hole], picture[hole]), abs=1e-3)
        reference = structural_similarity(
            truth, picture, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert ssim == pytest.approx(reference, abs=1e-3)


def test_ssim_in_the_hole_is_the_mean_of_scikit_images_map_there(pictures):
    restored, target, _ = pictures
    mask = np.zeros(target.shape[:3], bool)
    mask[0, 10:20, 8:20], mask[1, 15:30, 8:12] = True, True  # the window reaches over no border
    restored[1, 15:30, 8:12] = target[1, 15:30, 8:12]
    in_hole = scores(restored, target, mask)["ssim_hole"]
    for picture, truth, hole, found in zip(restored, target, mask, in_hole, strict=True):
        _, ssim = structural_similarity(
            truth, picture, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )
        assert found == pytest.approx(ssim[hole].mean(), abs=1e-3)


def test_a_perfect_match_has_the_ceiling(pictures):
    _, target, mask = pictures
    values = scores(target, target, mask)
    assert (values["psnr"] == PSNR_CEILING).all()
    assert (values["psnr_hole"] == PSNR_CEILING).all()
    assert values["ssim"] == pytest.approx([1, 1])
    assert values["ssim_hole"] == pytest.approx([1, 1])


@settings(max_examples=20, deadline=None)
@given(level=st.integers(1, 255), size=st.integers(1, 30))
def test_damage_outside_the_hole_leaves_the_holes_psnr_alone(level, size):
    target = np.zeros((1, 32, 32, 3), np.uint8)
    mask = np.zeros((1, 32, 32), bool)
    mask[:, :size, :size] = True
    restored = np.where(mask[..., None], target, level).astype(np.uint8)
    values = scores(restored, target, mask)
    assert values["psnr_hole"] == PSNR_CEILING
    assert values["psnr"] < PSNR_CEILING
