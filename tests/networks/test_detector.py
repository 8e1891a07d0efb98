import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pipeline.networks.detector import Detector, damage_of
from pipeline.networks.registry import GENERATORS, build_generator
from pipeline.tasks import DAMAGES

TINY = {"channels": 4, "blocks": 1, "scales": 2, "patch": 2, "block": "plain", "attention": False}


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    network = build_generator("detector", **TINY, decoder="bilinear", prior="plate", fine=16)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network.requires_grad_(False).eval()


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_each_pixel_of_a_picture_of_any_size_gets_a_logit_for_sound_and_for_each_kind(height, width, detector):
    logits = detector(torch.rand(2, 3, height, width))
    assert logits.shape == (2, 1 + len(DAMAGES), height, width)
    assert logits.isfinite().all()


def test_a_detector_finds_and_the_others_restore():
    assert {name for name, design in GENERATORS.items() if design.task == "detect"} == {"detector"}


def test_a_light_that_is_the_same_everywhere_leaves_the_contrast_as_it_is(detector):
    picture = torch.rand(1, 3, 24, 24) / 2
    seen = []
    handle = detector.stem.register_forward_pre_hook(lambda _, planes: seen.append(planes[0]))
    detector(picture), detector(picture + 0.25)
    handle.remove()
    assert torch.allclose(seen[0][:, 3:], seen[1][:, 3:], atol=1e-5)
    assert torch.allclose(seen[0][:, :3] + 0.25, seen[1][:, :3], atol=1e-5)


def test_damage_is_whatever_is_not_sound():
    logits = torch.tensor([2.0, 1.0, 0.0, 0.0, 0.0, -1.0]).log_softmax(0).view(1, 6, 1, 1)
    assert damage_of(logits).item() == pytest.approx(1 - logits.exp()[0, 0].item())
    assert damage_of(torch.tensor([50.0, 0, 0, 0, 0, 0]).view(1, 6, 1, 1)).item() < 1e-6
