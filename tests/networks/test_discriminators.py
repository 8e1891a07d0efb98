import io
from typing import get_args

import pytest
import torch

from pipeline import params
from pipeline.networks import pretrained
from pipeline.networks.discriminators import DISCRIMINATORS
from pipeline.networks.efficientnet import EfficientNetLite0


@pytest.fixture(autouse=True)
def random_weights(monkeypatch):
    """In place of those that `make perceptual` brings."""
    content = io.BytesIO()
    torch.save(EfficientNetLite0().state_dict(), content)
    monkeypatch.setattr(pretrained, "read", lambda _: content.getvalue())


def test_the_table_names_what_the_parameters_name():
    assert list(DISCRIMINATORS) == list(get_args(params.Discriminator.model_fields["design"].annotation))


def scores(discriminator, image, mask):
    return discriminator(discriminator.embed(image), mask)


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_discriminator_judges_pictures_with_their_masks(name, norm):
    torch.manual_seed(0)
    discriminator = DISCRIMINATORS[name].build(4, norm)
    image, mask, other = torch.rand(3, 3, 32, 32), torch.zeros(3, 1, 32, 32), torch.zeros(3, 1, 32, 32)
    mask[..., 5, 5] = other[..., 20:, 20:] = 1
    given = scores(discriminator, image, mask)
    assert given.dim() == 1 and given.isfinite().all()
    assert not torch.allclose(given.mean(), scores(discriminator, image, other).mean())
    assert not torch.allclose(given, scores(discriminator, 1 - image, mask))


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_picture_that_is_far_from_the_hole_matters_nothing(name):
    discriminator = DISCRIMINATORS[name].build(4, "none").eval()
    image, mask = torch.rand(1, 3, 512, 32), torch.zeros(1, 1, 512, 32)
    mask[..., 5, 5] = 1
    changed = image.clone()
    changed[..., 480:, :] = 0
    assert torch.allclose(scores(discriminator, image, mask), scores(discriminator, changed, mask), atol=1e-6)
