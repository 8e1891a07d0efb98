import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import params
from pipeline.inference import backends, pyramid
from pipeline.networks.blocks import DECODERS
from pipeline.networks.registry import build_generator
from pipeline.priors.numpy_fill import SWEEPS, fill
from tests.clone import ROOT

NETWORK, PRIOR = backends.load(ROOT / "models/restore")


def waves(height: int, width: int) -> np.ndarray:
    """A smooth picture, float32 in [0, 1]."""
    y, x = np.mgrid[:height, :width] / 30
    return np.stack([np.sin(x + y), np.cos(x - y), np.sin(2 * x)], axis=-1).astype(np.float32) / 2 + 0.5


def hole_in(height: int, width: int, seed: int) -> np.ndarray:
    """A rectangle that leaves some of the picture, or a single pixel."""
    rng = np.random.default_rng(seed)
    hole = np.zeros((height, width), bool)
    top, left = rng.integers(height), rng.integers(width)
    hole[top : top + 1 + rng.integers(height), left : left + 1 + rng.integers(width)] = True
    if height * width > 1:
        hole[0 if top else -1, 0 if left else -1] = False
    return hole


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(0, 99), st.sampled_from([np.uint8, np.uint16, np.float32]))
def test_any_size_and_kind_keeps_what_is_known(height, width, seed, kind):
    image = pyramid.as_kind(waves(height, width), np.dtype(kind))
    hole = hole_in(height, width, seed)
    restored = pyramid.restore(NETWORK, PRIOR, image, hole)
    assert restored.dtype == kind
    assert restored.shape == image.shape
    assert np.array_equal(restored[~hole], image[~hole])


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.sampled_from([1, 17, 700, 4000]), st.sampled_from([1, 300, 2049, 6000]), st.integers(0, 99))
def test_large_sizes_keep_what_is_known(height, width, seed):
    image = pyramid.as_kind(waves(height, width), np.dtype(np.uint8))
    hole = hole_in(height, width, seed)
    hole[500:] = hole[:, 900:] = False
    restored = pyramid.restore(NETWORK, PRIOR, image, hole)
    assert restored.shape == image.shape
    assert np.array_equal(restored[~hole], image[~hole])


@pytest.mark.parametrize("see_through", [True, False, None])
def test_tiles_show_no_seam(see_through, monkeypatch):
    image, hole = waves(400, 600), np.zeros((400, 600), bool)
    image += np.random.default_rng(0).normal(0, 0.05, image.shape).astype(np.float32)
    hole[30:390, 20:580:40] = hole[200:260, 50:550] = True
    monkeypatch.setattr(pyramid, "TILE", 1024)
    at_once = pyramid.restore(NETWORK, PRIOR, image, hole, see_through)
    monkeypatch.setattr(pyramid, "TILE", 128)
    in_tiles = pyramid.restore(NETWORK, PRIOR, image, hole, see_through)
    assert np.abs(at_once - in_tiles).max() < 2e-3


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_margin_holds_all_that_the_generator_and_the_prior_reach(decoder):
    torch.manual_seed(0)
    shape = params.load(ROOT / "params.yaml").train.generator.model_dump() | {"channels": 4, "decoder": decoder}
    generator = build_generator(**shape)
    for weights in generator.parameters():  # at first the head gives zero
        torch.nn.init.normal_(weights, 0, 0.2)
    image, start, reach = torch.rand(1, 3, 480, 480), torch.rand(1, 3, 480, 480), 0
    for pixel in range(240, 240 + generator.stride):
        seen = image.clone().requires_grad_()
        generator.refine(seen, torch.ones(1, 1, 480, 480), start)[..., pixel, pixel].sum().backward()
        rows = torch.nonzero(seen.grad.abs().sum((0, 1, 3)))
        reach = max(reach, int((rows - pixel).abs().max()))
    sweeps, biharmonic_sweeps = SWEEPS[PRIOR]
    assert reach + sweeps + 2 * biharmonic_sweeps <= pyramid.MARGIN


def test_a_generator_that_changes_nothing_leaves_the_prior():
    image, hole = waves(400, 600), np.zeros((400, 600), bool)
    hole[30:390, 20:580:40] = hole[150:260, 50:550] = True
    restored = pyramid.restore(lambda image, hole, start: start, PRIOR, image, hole)
    assert np.abs(restored - fill(PRIOR, image, hole)).max() < 5e-3


def test_a_degraded_picture_is_restored_in_tiles_too(monkeypatch):
    network, prior = backends.load(ROOT / "models/general")
    image, hole = waves(300, 420), np.ones((300, 420), bool)
    at_once = pyramid.restore(network, prior, image, hole)
    monkeypatch.setattr(pyramid, "TILE", 64)
    assert np.abs(at_once - pyramid.restore(network, prior, image, hole)).max() < 1e-4


def test_a_false_of_numpy_is_as_false_as_pythons(monkeypatch):
    monkeypatch.setattr(pyramid, "find_opaque", lambda image, hole: pytest.fail("the picture was asked"))
    image, hole = np.zeros((20, 20, 3), np.uint8), np.eye(20, dtype=bool)
    pyramid.restore(lambda image, hole, start: start, "plate", image, hole, see_through=np.False_)


def test_what_shall_go_leaves_no_trace():
    image = waves(128, 128)
    hole = hole_in(128, 128, 3)
    black, white = (np.where(hole[..., None], np.float32(tone), image) for tone in (0, 1))
    restored = [pyramid.restore(NETWORK, PRIOR, picture, hole, see_through=False) for picture in (black, white)]
    assert np.array_equal(*restored)
