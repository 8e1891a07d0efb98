import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pipeline.networks.blocks import BLOCKS, DECODERS, Attention, Head, Upsample
from pipeline.networks.generator import Generator, details, opened
from pipeline.networks.patchgan import PatchGan
from pipeline.networks.registry import build_generator
from pipeline.priors.torch_fill import fill

ARGUMENTS = {"channels": 8, "blocks": 1, "scales": 2, "patch": 4}
MADE = [
    *({"design": "residual", "block": block} for block in BLOCKS),
    {"design": "residual", "attention": True},
    {"design": "residual", "prior": "pushpull"},
    *({"design": "residual", "decoder": decoder, "copy_pixels": True} for decoder in DECODERS),
    {"design": "residual", "prior": "none", "see_through": False},
    {"design": "residual", "fine": 4},
    {"design": "textbook"},
]


def random_weights(network: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def generator() -> Generator:
    return random_weights(Generator(channels=4, blocks=1, scales=3, patch=4))


@pytest.mark.parametrize("made", MADE, ids=lambda made: "-".join(map(str, made.values())))
@settings(max_examples=10, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), share=st.sampled_from([0.0, 0.3, 1.0]))
def test_every_design_keeps_any_size_and_every_known_pixel(made, height, width, share):
    restorer = random_weights(build_generator(**ARGUMENTS | made))
    image = torch.rand(2, 3, height, width)
    mask = (torch.rand(2, 1, height, width) < share).float()
    restored = restorer(image, mask)
    assert restored.shape == image.shape
    assert restored.isfinite().all()
    assert torch.equal(restored * (1 - mask), image * (1 - mask))


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_starts_as_the_identity(block):
    x = torch.rand(2, 8, 9, 9)
    assert torch.equal(BLOCKS[block](8)(x), x)


def test_the_bilinear_decoder_makes_a_constant_of_constant_features():
    """Away from the border, where convolutions see their padding."""
    upsample, head = (random_weights(network) for network in (Upsample(8, 4), Head(8, 5, patch=4)))
    x = torch.rand(1, 8, 1, 1).expand(1, 8, 6, 6)
    for network, border in ((upsample, 0), (head, 8)):
        inside = network(x)[..., border : 24 - border or None, border : 24 - border or None]
        assert inside.abs().max() > 0.01
        assert torch.allclose(inside, inside[..., :1, :1].expand_as(inside), atol=1e-6)


def test_a_shuffle_makes_a_lattice_of_them():
    head = random_weights(DECODERS["shuffle"][1](8, 5, 4))
    inside = head(torch.rand(1, 8, 1, 1).expand(1, 8, 6, 6))[..., 8:16, 8:16]
    assert inside.std((2, 3)).min() > 0.01


@pytest.mark.parametrize("channels", [8, 63, 100, 192])
def test_attention_starts_as_the_identity(channels):
    x = torch.rand(2, channels, 5, 7)
    assert torch.equal(Attention(channels)(x), x)


@pytest.mark.parametrize("opacity", [0.3, 0.6, 0.9])
def test_a_veil_leaves_its_share_of_the_details(opacity):
    torch.manual_seed(0)
    picture, mask = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    mask[..., 16:48, 16:48] = 1
    veiled = torch.lerp(picture, torch.lerp(picture, torch.tensor(0.2), opacity), mask)
    for clear, seen in zip(details(picture, mask), details(veiled, mask), strict=True):
        assert torch.allclose(seen, (1 - opacity) * clear, atol=1e-5)
        assert not (seen * (1 - mask)).any()


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), share=st.floats(0, 0.9))
def test_any_size_is_kept_and_so_is_every_known_pixel(generator, height, width, share):
    image = torch.rand(2, 3, height, width)
    mask = (torch.rand(2, 1, height, width) < share).float()
    restored = generator(image, mask)
    assert restored.shape == image.shape
    assert torch.equal(restored * (1 - mask), image * (1 - mask))


def test_what_lies_in_the_hole_is_looked_at_only_to_see_through(generator):
    opaque = random_weights(Generator(channels=4, blocks=1, scales=3, patch=4, see_through=False))
    image, mask = torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    mask[..., 8:20, 8:20] = 1
    assert torch.equal(opaque(image, mask), opaque(image * (1 - mask), mask))
    assert not torch.equal(generator(image, mask), generator(image * (1 - mask), mask))


def test_what_lies_under_the_thinnest_parts_of_a_mask_is_not_looked_at():
    """Nor is it where lines touch a thick part."""
    looking = random_weights(Generator(4, 1, 2, 2, decoder="bilinear", copy_pixels=True, least_seen=3))
    image, thick, thin = torch.rand(1, 3, 48, 48), torch.zeros(1, 1, 48, 48), torch.zeros(1, 1, 48, 48)
    thick[..., 8:20, 8:20] = 1
    thin[..., 30:32, 4:40] = thin[..., 20:30, 10:12] = thin[..., 4, 40] = 1
    mask = thick + thin
    assert torch.equal(opened(mask, 3), thick)
    assert torch.equal(opened(mask, 1), mask)
    assert torch.equal(looking(image, mask), looking(image * (1 - thin), mask))
    assert not torch.equal(looking(image, mask), looking(image * (1 - thick), mask))


def test_an_untrained_generator_gives_the_prior():
    image, mask = torch.rand(2, 3, 32, 32), (torch.rand(2, 1, 32, 32) < 0.5).float()
    for name in ("plate", "harmonic", "pushpull"):
        untrained = Generator(channels=4, blocks=2, scales=2, patch=2, prior=name)
        assert torch.allclose(untrained(image, mask), fill(name, image, mask), atol=1e-6)


def test_the_discriminator_gives_a_score_a_picture():
    mask = torch.zeros(3, 1, 32, 32)
    mask[..., 5, 5] = 1
    assert PatchGan(4, "none")([torch.rand(3, 3, 32, 32)], mask).shape == (3,)


def test_a_patch_that_sees_no_hole_does_not_count():
    torch.manual_seed(0)
    discriminator, image, mask = PatchGan(4, "none"), torch.rand(1, 3, 128, 128), torch.zeros(1, 1, 128, 128)
    mask[..., :8, :8] = 1
    elsewhere = image.clone()
    elsewhere[..., 64:, 64:] = 0
    assert torch.equal(discriminator([image], mask), discriminator([elsewhere], mask))
