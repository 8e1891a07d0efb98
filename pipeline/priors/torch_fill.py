"""The prior: a smooth fill of the hole, the start from which the generator learns the residual."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.priors import exemplar_fill

SWEEPS = 16  # Jacobi sweeps a level: more gain less than 0.05 dB
BIHARMONIC_SWEEPS = 16  # sweeps of the thin plate a level; each costs two of the others
DAMPING = 0.6  # below 0.625, where the plate's Jacobi iteration would diverge: the stencil's eigenvalues are 0 to 3.2


@torch.no_grad()
def harmonic_fill(image: Tensor, mask: Tensor) -> Tensor:
    """Fill the hole with an approximate solution of Laplace's equation, the known pixels being the boundary.

    A push-pull pyramid (Gortler et al., The Lumigraph, 1996, section 3.4.2) gives the start at each level, Jacobi
    sweeps smooth it. A picture without any known pixel is degraded rather than missing: it is returned unchanged.

    Args:
        image: float N3HW in [0, 1]; its pixels in the hole are not looked at.
        mask: float N1HW, 1 where to restore, 0 where to keep.

    Returns:
        float N3HW, equal to `image` where it is known.
    """
    return _fill(image, _known(mask), SWEEPS)


@torch.no_grad()
def thin_plate_fill(image: Tensor, mask: Tensor) -> Tensor:
    """`harmonic_fill`, bent towards a thin plate, whose slope goes on at the edge of the hole.

    At each level of the pyramid follow damped Jacobi sweeps for the biharmonic equation, by the 13-point stencil of
    the squared Laplacian, whose centre is 20. Too few to converge in a large hole, where the plate would overshoot.
    Arguments and result as there, but it may leave the range of the known pixels, inside [0, 1].
    """
    return _fill(image, _known(mask), SWEEPS, BIHARMONIC_SWEEPS).clamp(0, 1)


@torch.no_grad()
def push_pull_fill(image: Tensor, mask: Tensor) -> Tensor:
    """`harmonic_fill` without the sweeps: the start that the pyramid gives. Arguments and result as there."""
    return _fill(image, _known(mask), 0)


@torch.no_grad()
def grey_fill(image: Tensor, mask: Tensor) -> Tensor:
    """The hole at 0.5: no prior at all. Arguments and result as of `harmonic_fill`."""
    return torch.where(_known(mask) > 0, image, 0.5)


def exemplar(image: Tensor, mask: Tensor) -> Tensor:
    """`thin_plate_fill`, completed with patches of the picture itself. Arguments and result as of `harmonic_fill`."""
    smooth = thin_plate_fill(image, mask)
    completed = [
        exemplar_fill.fill(guide, hole)
        for guide, hole in zip(smooth.permute(0, 2, 3, 1).cpu().numpy(), mask[:, 0].cpu().numpy() > 0, strict=True)
    ]
    return torch.from_numpy(np.stack(completed)).permute(0, 3, 1, 2).to(image)


PRIORS = {
    "plate": thin_plate_fill,
    "harmonic": harmonic_fill,
    "pushpull": push_pull_fill,
    "exemplar": exemplar,
    "none": grey_fill,
}


def fill(prior: str, image: Tensor, mask: Tensor) -> Tensor:
    """The hole filled by the prior of this name. Arguments and result as of `harmonic_fill`.

    Raises:
        KeyError: there is no such prior.
    """
    return PRIORS[prior](image, mask)


def _known(mask: Tensor) -> Tensor:
    """1 where a picture is known; all of it, where it is degraded."""
    blind = mask.amin(dim=(2, 3), keepdim=True)
    return 1 - mask * (1 - blind)


def _fill(image: Tensor, known: Tensor, sweeps: int, biharmonic_sweeps: int = 0) -> Tensor:
    height, width = image.shape[-2:]
    if known.all():
        return image
    if max(height, width) == 1:
        return image * known
    even = (0, width % 2, 0, height % 2)
    weight = F.avg_pool2d(F.pad(known, even), 2)
    coarse = F.avg_pool2d(F.pad(image * known, even), 2) / weight.clamp(min=1e-6)
    coarse = _fill(coarse, (weight > 0).to(image.dtype), sweeps, biharmonic_sweeps)
    start = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)[..., :height, :width]
    filled, hole = torch.lerp(start, image, known), 1 - known
    for _ in range(sweeps):
        filled.addcmul_(hole, _laplacian(filled), value=1 / 4)
    for _ in range(biharmonic_sweeps):
        filled.addcmul_(hole, _laplacian(_laplacian(filled)), value=-DAMPING / 20)
    return filled


def _laplacian(x: Tensor) -> Tensor:
    """The sum of the four neighbours less four times the pixel, the border repeated; in place, for speed."""
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    around = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    return around.add_(padded[..., 1:-1, :-2]).add_(padded[..., 1:-1, 2:]).sub_(x, alpha=4)
