import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.priors.torch_fill import fill, harmonic_fill


def hole(height: int, width: int, top: int, left: int, bottom: int, right: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[..., top:bottom, left:right] = 1
    return mask


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_known_pixels_stay_and_the_fill_lies_between_them(height, width, seed, share):
    random = torch.Generator().manual_seed(seed)
    image = torch.rand(2, 3, height, width, generator=random)
    mask = (torch.rand(2, 1, height, width, generator=random) < share).float()
    filled = harmonic_fill(image, mask)
    assert torch.equal(filled * (1 - mask), image * (1 - mask))
    for picture, damage, result in zip(image, mask, filled, strict=True):
        known = picture[:, damage[0] == 0]
        if known.numel():
            assert result.min() >= known.min() - 1e-5
            assert result.max() <= known.max() + 1e-5


def test_what_lies_in_the_hole_is_not_looked_at():
    image, mask = torch.rand(1, 3, 32, 32), hole(32, 32, 4, 4, 20, 20)
    assert torch.equal(harmonic_fill(image, mask), harmonic_fill(image * (1 - mask), mask))


def test_a_slope_is_continued_through_the_hole():
    slope = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    filled = harmonic_fill(slope, hole(64, 64, 20, 20, 44, 44))
    assert (filled - slope).abs().max() < 0.05


def test_a_picture_without_known_pixels_is_returned_as_it_is():
    image = torch.rand(2, 3, 16, 16)
    mask = torch.cat([torch.ones(1, 1, 16, 16), hole(16, 16, 2, 2, 6, 6)])
    assert torch.equal(harmonic_fill(image, mask)[0], image[0])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2)])
def test_tiny_pictures_are_filled(size):
    image = torch.full((1, 3, *size), 0.25)
    mask = torch.zeros(1, 1, *size)
    mask[..., -1, -1] = 1
    assert torch.allclose(harmonic_fill(image, mask), image)


def test_a_plate_goes_on_where_a_curve_bends():
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    bowl = (((x - 20) ** 2 + (y - 40) ** 2) / 4000).expand(1, 3, 64, 64).clamp(0, 1)
    thin = hole(64, 64, 10, 30, 54, 32)
    flat, bent = (fill(name, bowl, thin) for name in ("harmonic", "plate"))
    assert torch.equal(bent * (1 - thin), bowl * (1 - thin))
    assert (bent - bowl).abs().max() < 0.5 * (flat - bowl).abs().max()


def test_a_plate_over_the_largest_hole_does_not_overshoot():
    picture = torch.zeros(1, 3, 64, 64)
    picture[..., :32] = 1
    filled = fill("plate", picture, hole(64, 64, 4, 4, 60, 60))
    assert filled.isfinite().all()
    assert filled.min() >= 0
    assert filled.max() <= 1
