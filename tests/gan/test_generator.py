import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.gan.discriminator import Discriminator
from pipeline.gan.generator import Generator
from pipeline.gan.prior import harmonic_fill


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    trained = Generator(channels=4, blocks=1, scales=3, patch=4)
    for parameter in trained.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return trained.requires_grad_(False)


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), share=st.floats(0, 0.9))
def test_any_size_is_kept_and_so_is_every_known_pixel(generator, height, width, share):
    image = torch.rand(2, 3, height, width)
    mask = (torch.rand(2, 1, height, width) < share).float()
    restored = generator(image, mask)
    assert restored.shape == image.shape
    assert torch.equal(restored * (1 - mask), image * (1 - mask))


def test_what_lies_in_the_hole_is_not_looked_at(generator):
    image, mask = torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    mask[..., 8:20, 8:20] = 1
    assert torch.equal(generator(image, mask), generator(image * (1 - mask), mask))


def test_an_untrained_generator_gives_the_prior():
    image, mask = torch.rand(2, 3, 32, 32), (torch.rand(2, 1, 32, 32) < 0.5).float()
    untrained = Generator(channels=4, blocks=2, scales=2, patch=2)
    assert torch.allclose(untrained(image, mask), harmonic_fill(image, mask), atol=1e-6)


def test_the_discriminator_gives_a_score_a_picture():
    mask = torch.zeros(3, 1, 32, 32)
    mask[..., 5, 5] = 1
    assert Discriminator(4)(torch.rand(3, 3, 32, 32), mask).shape == (3,)


def test_a_patch_that_sees_no_hole_does_not_count():
    torch.manual_seed(0)
    discriminator, image, mask = Discriminator(4), torch.rand(1, 3, 128, 128), torch.zeros(1, 1, 128, 128)
    mask[..., :8, :8] = 1
    elsewhere = image.clone()
    elsewhere[..., 64:, 64:] = 0
    assert torch.equal(discriminator(image, mask), discriminator(elsewhere, mask))
