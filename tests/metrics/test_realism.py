from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from torchmetrics.image import PeakSignalNoiseRatio

from pipeline.metrics import feature_networks, realism
from pipeline.metrics.feature_networks import FEATURE_NETWORKS
from pipeline.metrics.realism import PERCEPTUAL, OfTorchMetrics
from pipeline.params import Evaluate
from pipeline.runtime.errors import UserError

MASK = np.zeros((96, 96), bool)
MASK[10:80, 15:90] = True


@pytest.fixture(autouse=True)
def random_networks(monkeypatch):
    """In place of those that `make perceptual` brings."""

    def build(name):
        torch.manual_seed(0)
        return FEATURE_NETWORKS[name].build().eval().requires_grad_(False)

    monkeypatch.setattr(feature_networks, "load", build)


def values_of(measure, pairs=3):
    """Of the original itself, and of it blurred, in this order."""
    for seed in range(pairs):
        target = np.random.default_rng(seed).integers(256, size=(96, 96, 3), dtype=np.uint8)
        blurred = np.where(MASK[..., None], cv2.GaussianBlur(target, (0, 0), 3), target)
        measure.add(np.stack([target, blurred]), target, MASK)
    return measure.values()


def test_the_table_names_what_the_parameters_name():
    (listed, *_) = get_args(Evaluate.model_fields["perceptual"].annotation)
    assert list(PERCEPTUAL) == list(get_args(listed))


@pytest.mark.parametrize(
    ("name", "columns"), [("lp_sq", ["lp_sq"]), ("lp_vgg", ["lp_vgg"]), ("kid", ["kid_fire5", "kid_fire9"])]
)
def test_the_original_is_at_no_distance_and_a_blur_at_some(name, columns):
    values = values_of(PERCEPTUAL[name]())
    assert list(values) == columns
    for same, blurred in values.values():
        assert same == pytest.approx(0, abs=1e-9) and blurred > 1e-8  # which is much, by random networks


def test_a_single_pair_has_no_kernel_distance():
    assert all(np.isnan(value).all() for value in values_of(PERCEPTUAL["kid"](), pairs=1).values())


def test_the_lattice_is_that_of_each_method_over_the_pairs_that_have_one():
    measure = PERCEPTUAL["lattice"]()
    gridded = np.random.default_rng(0).integers(100, 140, (96, 96, 3), dtype=np.uint8)
    plain = gridded.copy()
    gridded[::8, ::8] = 255
    small = np.zeros_like(MASK)
    small[:6, :6] = True
    measure.add(np.stack([plain, gridded]), plain, MASK)
    measure.add(np.stack([gridded, plain]), plain, small)  # too small for a value
    values = measure.values()
    assert list(values) == ["lattice_4", "lattice_8", "lattice_16"]
    without, with_grid = values["lattice_8"]
    assert with_grid > 0.3
    assert abs(without) < 0.05


def test_a_metric_of_torchmetrics_sees_each_method_apart():
    measure = OfTorchMetrics(
        "psnr", lambda: PeakSignalNoiseRatio(data_range=255.0), lambda metric, *both: metric.update(*both)
    )
    first, second = values_of(measure)["psnr"]
    assert first == np.inf and 5 < second < 20


@pytest.mark.parametrize("name", ["lpips", "fid"])
def test_a_metric_whose_network_is_not_there_is_refused_in_one_line(name, monkeypatch):
    def without(*_, **__):
        raise ModuleNotFoundError("it requires torchvision.\nInstall it.")

    monkeypatch.setattr("torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity.__init__", without)
    monkeypatch.setattr("torchmetrics.image.fid.FrechetInceptionDistance.__init__", without)
    with pytest.raises(UserError, match=rf"^evaluate.perceptual: {name} cannot be had \(it requires torchvision"):
        realism.PERCEPTUAL[name]()
