import pytest
import torch

from pipeline.networks.blocks import BLOCKS
from pipeline.networks.registry import GENERATORS
from pipeline.networks.translator import Translator


def translator(block: str = "plain", patch: int = 2) -> Translator:
    """One whose layers all have a say."""
    torch.manual_seed(0)
    network = Translator(8, 1, 3, patch, block).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.normal_(layer.weight, std=0.15)
    return network


@pytest.mark.parametrize("block", BLOCKS)
def test_any_size_comes_out_as_it_went_in(block):
    for height, width in ((1, 1), (7, 30), (16, 16)):
        assert translator(block)(torch.rand(2, 3, height, width)).shape == (2, 3, height, width)


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_a_flat_picture_is_translated_to_a_flat_one(patch):
    made = translator(patch=patch)(torch.full((1, 3, 320, 320), 0.3))[..., 144:176, 144:176]
    assert (made - made[..., :1, :1]).abs().max() < 1e-5
    assert (made[..., 0, 0] - 0.3).abs().max() > 0.01


def test_what_is_far_away_has_no_say():
    network, image = translator(), torch.rand(1, 3, 16, 480)
    other = image.clone()
    other[..., 400:] = torch.rand(1, 3, 16, 80)
    with torch.no_grad():
        assert torch.equal(network(image)[..., :200], network(other)[..., :200])


def test_its_features_are_of_the_first_layer_and_of_each_scale():
    network = translator()
    shapes = [tuple(each.shape) for each in network.features(torch.rand(2, 3, 32, 48))]
    assert shapes == [(2, 8, 16, 24), (2, 8, 16, 24), (2, 16, 8, 12), (2, 32, 4, 6)]
    assert [project[0].in_features for project in network.projections] == [8, 8, 16, 32]
    assert GENERATORS["translator"].task == "translate"
