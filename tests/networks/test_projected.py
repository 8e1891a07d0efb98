import pytest
import torch

from pipeline.networks.efficientnet import CHANNELS, EfficientNetLite0
from pipeline.networks.projected import ProjectedDiscriminator, build_pretrained
from pipeline.runtime.errors import UserError


@pytest.fixture(scope="module")
def discriminator():
    torch.manual_seed(0)
    return ProjectedDiscriminator(8, "none")


def test_it_scores_each_scale_wherever_the_hole_lies_at_the_finest(discriminator):
    mask = torch.zeros(2, 1, 32, 32)
    mask[0, 0, 4:8, 4:8] = 1
    assert discriminator(discriminator.embed(torch.rand(2, 3, 32, 32)), mask).shape == (4 * 2 * 2,)


def test_only_the_heads_are_trained(discriminator):
    trained = {name.split(".")[0] for name, each in discriminator.named_parameters() if each.requires_grad}
    assert trained == {"heads"}
    assert not discriminator.train().network.training


def test_the_gradient_reaches_the_picture(discriminator):
    image, mask = torch.rand(1, 3, 32, 32, requires_grad=True), torch.zeros(1, 1, 32, 32)
    mask[..., 10:20, 10:20] = 1
    discriminator(discriminator.embed(image), mask).sum().backward()
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize("size", [(64, 64), (33, 47)])
def test_the_features_halve_from_scale_to_scale(size):
    features = EfficientNetLite0()(torch.rand(1, 3, *size))
    assert [each.shape[1] for each in features] == list(CHANNELS)
    for factor, each in zip((2, 4, 8, 16), features, strict=True):
        assert each.shape[2:] == tuple(-(-side // factor) for side in size)


def test_weights_of_another_network_are_refused():
    state = EfficientNetLite0().state_dict()
    state["stem.0.weight"] = torch.zeros(8, 3, 3, 3)
    with pytest.raises(ValueError, match="not the weights of EfficientNet-Lite0"):
        EfficientNetLite0().load(state)


def test_weights_come_by_their_order():
    theirs, ours = EfficientNetLite0(), EfficientNetLite0()
    ours.load({f"of_others.{name}": tensor for name, tensor in theirs.state_dict().items()})
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(ours(x)[-1], theirs(x)[-1])


def test_without_the_weights_it_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("MENDLINE_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="the weights of EfficientNet-Lite0 are not there; make perceptual brings it$"):
        build_pretrained(8, "none")
