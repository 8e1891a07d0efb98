import pytest
import torch

from pipeline.inference import enlarger as enlarging
from pipeline.inference.backends import ENLARGED, REACH
from pipeline.networks.blocks import BLOCKS
from pipeline.networks.enlarger import FACTORS, STRIDE, Enlarger
from pipeline.networks.registry import GENERATORS
from pipeline.params import Generator


def enlarger(block: str = "plain") -> Enlarger:
    torch.manual_seed(0)
    network = Enlarger(8, 2, block).eval()
    for head in network.heads.values():
        torch.nn.init.normal_(head.weight, std=0.1)
    return network


@pytest.mark.parametrize("factor", FACTORS)
def test_untrained_it_is_the_bicubic_filter(factor):
    small = torch.rand(2, 3, 5, 7)
    filtered = torch.nn.functional.interpolate(small, scale_factor=factor, mode="bicubic", align_corners=False)
    assert torch.equal(Enlarger(8, 1, "plain")(small, factor), filtered)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("factor", FACTORS)
def test_any_size_is_made_so_many_times_larger(block, factor):
    for height, width in ((1, 1), (1, 6), (9, 4)):
        assert enlarger(block)(torch.rand(1, 3, height, width), factor).shape == (1, 3, height * factor, width * factor)


def test_the_factors_share_all_but_the_last_layer():
    names = {name.split(".")[0] for name, _ in enlarger().named_parameters()}
    assert names == {"stem", "body", "heads"}
    assert {name.split(".")[1] for name, _ in enlarger().named_parameters() if name.startswith("heads")} == {
        f"x{factor}" for factor in FACTORS
    }


@pytest.mark.parametrize("block", BLOCKS)
def test_what_is_looked_at_is_as_far_away_as_the_blocks_reach(block):
    network, reach = enlarger(block), 2 + 2 * REACH[block]
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.normal_(layer.weight, std=0.3)
    small = torch.rand(1, 3, 12, 80, requires_grad=True)
    network(small, 2)[..., 80].sum().backward()
    seen = small.grad.abs().sum((0, 1, 2)).nonzero().flatten()
    assert (40 - seen.min(), seen.max() - 40) == (reach, reach)


def test_its_stride_is_that_of_the_parameters():
    assert not any(STRIDE % factor for factor in FACTORS)
    assert Generator.model_construct(design="enlarger").stride == STRIDE
    assert GENERATORS["enlarger"].task == "superres"


def test_its_factors_are_those_of_every_door():
    assert list(FACTORS) == list(enlarging.FACTORS)
    assert [f"x{factor}" for factor in FACTORS] == ENLARGED
