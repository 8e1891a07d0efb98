import numpy as np
import pytest
import torch
from torch import nn

from pipeline.metrics import feature_networks
from pipeline.metrics.feature_networks import FEATURE_NETWORKS
from pipeline.metrics.perceptual import (
    KID_TAPS,
    PERIODS,
    feature_distance,
    hole_features,
    kernel_distance,
    lattice,
    unit_features,
)
from pipeline.runtime.errors import UserError

MASKS = np.zeros((3, 96, 96), bool)
MASKS[:, 10:80, 15:90] = True


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(100, 140, shape, dtype=np.uint8)


def gridded(period: int, height: float) -> np.ndarray:
    """Noise with a dot at each crossing of a grid."""
    dots = np.zeros((96, 96))
    dots[::period, ::period] = height
    return (noise(3, 96, 96, 3) + dots[..., None]).astype(np.uint8)


@pytest.mark.parametrize("period", PERIODS)
def test_a_grid_is_found_at_its_period_and_noise_has_none(period):
    assert lattice(gridded(period, 100), MASKS, period).min() > 0.3
    assert np.abs(lattice(gridded(period, 0), MASKS, period)).max() < 0.05


def test_a_grid_of_8_px_is_none_of_4_px_but_one_of_16_px():
    four, eight, sixteen = (lattice(gridded(8, 100), MASKS, period).mean() for period in (4, 8, 16))
    assert four < eight / 2
    assert sixteen == pytest.approx(eight, abs=0.1)


def test_a_grid_outside_the_hole_does_not_count():
    pictures = np.where(MASKS[..., None], gridded(4, 0), gridded(4, 100))
    assert np.abs(lattice(pictures, MASKS, 4)).max() < 0.05


def test_a_flat_hole_has_no_lattice_and_a_small_one_no_value():
    flat = np.full((1, 96, 96, 3), 90, np.uint8)
    assert lattice(flat, MASKS[:1], 8) == pytest.approx([0])
    small = np.zeros((1, 96, 96), bool)
    small[:, 10:28, 10:28] = True  # 14 x 14 px without its rim
    assert np.isfinite(lattice(flat, small, 4)).all()
    assert np.isnan(lattice(flat, small, 8)).all()


@pytest.fixture(scope="module")
def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU())


def distance(layers: nn.Sequential, restored: np.ndarray, targets: np.ndarray) -> np.ndarray:
    ours, theirs = (unit_features(layers, (1, 4), pictures) for pictures in (restored, targets))
    return feature_distance(ours, theirs, MASKS)


def test_a_picture_further_from_the_original_has_a_larger_distance(layers):
    targets = noise(3, 96, 96, 3)
    near, far = targets.copy(), targets.copy()
    near[:, 40:50, 40:50] = 0
    far[:, 20:70, 20:70] = 0
    assert distance(layers, targets, targets) == pytest.approx([0, 0, 0])
    assert (distance(layers, near, targets) > 0).all()
    assert (distance(layers, near, targets) < distance(layers, far, targets)).all()
    assert (distance(layers, far, targets) <= 2).all()


def test_what_is_far_from_the_hole_does_not_count(layers):
    targets = noise(3, 96, 96, 3)
    other = targets.copy()
    other[:, 86:] = 0
    assert distance(layers, other, targets) == pytest.approx([0, 0, 0])


def test_hole_features_are_the_mean_over_the_hole():
    identity = nn.Sequential(nn.Identity())
    pictures = np.full((3, 96, 96, 3), 255, np.uint8)
    pictures[MASKS] = (10, 20, 30)
    (pooled,) = hole_features(identity, (0,), pictures, MASKS)
    assert pooled + feature_networks.MEAN == pytest.approx(np.tile([30, 20, 10], (3, 1)), abs=1e-3)  # blue first


def test_the_kernel_distance_is_that_of_the_published_sum():
    rng = np.random.default_rng(0)
    x, y = rng.random((6, 5)), rng.random((6, 5))
    unit = [[row / np.sqrt((row**2).mean()) for row in each] for each in (x, y)]

    def k(a, b):
        return (a @ b / 5 + 1) ** 3

    terms = [
        k(unit[0][i], unit[0][j]) + k(unit[1][i], unit[1][j]) - k(unit[0][i], unit[1][j]) - k(unit[0][j], unit[1][i])
        for i in range(6)
        for j in range(6)
        if i != j
    ]
    assert kernel_distance(x, y) == pytest.approx(np.mean(terms))


def test_sets_that_are_drawn_alike_have_a_kernel_distance_of_about_nothing():
    rng = np.random.default_rng(0)
    ours, theirs, others = rng.random((200, 20)), rng.random((200, 20)), rng.random((200, 20)) ** 3
    assert kernel_distance(ours, ours) == pytest.approx(0, abs=1e-9)
    assert abs(kernel_distance(ours, theirs)) < kernel_distance(ours, others) / 20


@pytest.mark.parametrize("name", FEATURE_NETWORKS)
def test_a_network_that_is_there_tells_a_blur_from_noise_and_from_the_original(name):
    from skimage import data, filters

    try:
        layers = feature_networks.load(name)
    except UserError as error:
        pytest.skip(str(error))
    target = data.chelsea()[None, 60:156, 120:216]
    blurred, worse = (
        (255 * filters.gaussian(target[0], sigma, channel_axis=-1)).astype(np.uint8)[None] for sigma in (1, 4)
    )
    taps = FEATURE_NETWORKS[name].taps
    theirs = unit_features(layers, taps, target)
    near, far = (feature_distance(unit_features(layers, taps, each), theirs, MASKS[:1]) for each in (blurred, worse))
    assert 0 < near[0] < far[0] < 2


def test_squeezenets_layers_have_the_depths_that_the_paper_has():
    layers = FEATURE_NETWORKS["squeezenet"].build()
    found = feature_networks.activations(layers, noise(1, 64, 64, 3), tuple(KID_TAPS.values()))
    assert [each.shape[1] for each in found] == [256, 512]
