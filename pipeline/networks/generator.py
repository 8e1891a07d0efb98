"""The generator: a residual U-Net on a smooth prior."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.networks.blocks import Fine
from pipeline.networks.unet import UNet
from pipeline.priors import torch_fill

FINE, COARSE = 3, 8  # px: the squares over which `details` takes its means


class Generator(UNet):
    """Restores the hole of a picture, or the whole of it, and keeps every other pixel. Untrained it gives the prior.

    With `see_through`, what lies in the hole is looked at too: stains and scratches let some of the picture through.
    Its `details` are added to the prior, as strongly as the generator finds them to be the picture's. With
    `copy_pixels` so are its pixels themselves: a mask painted by hand reaches beyond the damage. Where the mask is
    thinner than `least_seen` px nothing is looked at: single lost pixels would be noise beside the little that is to
    be restored between them. A `Fine` branch of so many channels restores that.
    """

    def __init__(
        self,
        channels: int,
        blocks: int,
        scales: int,
        patch: int,
        block: str = "plain",
        attention: bool = False,
        prior: str = "harmonic",
        see_through: bool = True,
        decoder: str = "shuffle",
        copy_pixels: bool = False,
        least_seen: int = 1,
        fine: int = 0,
    ) -> None:
        planes_in, planes_out = (10, 5 + (copy_pixels and see_through)) if see_through else (4, 3)
        super().__init__(planes_in, planes_out, channels, blocks, scales, patch, block, attention, decoder)
        self.prior, self.see_through, self.copy_pixels = prior, see_through, copy_pixels and see_through
        self.least_seen = least_seen
        self.fine = Fine(fine) if fine else None

    def forward(self, image: Tensor, mask: Tensor, start: Tensor | None = None) -> Tensor:
        """Restore pictures of any size.

        Args:
            image: float N3HW in [0, 1], the damaged pictures.
            mask: float N1HW, 1 where to restore, 0 where to keep. Where it is 1 everywhere the picture is taken as
                degraded; elsewhere the image's pixels in the hole are looked at only with `see_through`.
            start: the hole filled as the prior does, where that has been done already.

        Returns:
            float N3HW, composed: `image` where the mask is 0. It may leave [0, 1] by a little.
        """
        return self.refine(image, mask, torch_fill.fill(self.prior, image, mask) if start is None else start)

    def refine(self, image: Tensor, mask: Tensor, start: Tensor) -> Tensor:
        """`forward`, from another start than the prior's: float N3HW in [0, 1], `image` where the mask is 0."""
        seen = [start - 0.5, mask]
        if self.see_through:
            shown = opened(mask, self.least_seen)
            fine, coarse = details(image, shown)
            under = (image - start) * shown
            seen += [under, fine + coarse]
        planes = self.planes(torch.cat(seen, 1))
        restored = start + planes[:, :3]
        if self.fine:
            restored = restored + self.fine(start, mask)
        if self.see_through:
            restored = restored + planes[:, 3:4] * fine + planes[:, 4:5] * coarse
        if self.copy_pixels:
            restored = restored + planes[:, 5:6] * under
        return torch.lerp(image, restored, mask)


def opened(mask: Tensor, side: int) -> Tensor:
    """What of a mask (float N1HW) a square of so many px, an odd number, fits into: its morphological opening."""
    inside = -F.max_pool2d(-mask, side, stride=1, padding=side // 2)
    return F.max_pool2d(inside, side, stride=1, padding=side // 2)


def details(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """What is left of the picture inside the hole, where something thin or translucent lies over it.

    A veil of opacity o turns detail d into (1 - o) d and adds a tint that changes slowly. So the difference from a
    local mean, taken inside the hole alone, is free of the tint.

    Args:
        image: float N3HW in [0, 1].
        mask: float N1HW, 1 in the hole.

    Returns:
        Two of float N3HW, 0 outside the hole: the detail finer than `FINE` px, and that between it and `COARSE` px.
    """
    height, width = image.shape[-2:]
    inside = torch.cat([image * mask, mask], 1)
    near = _mean(F.avg_pool2d(inside, FINE, stride=1, padding=FINE // 2))
    even = F.pad(inside, (0, -width % COARSE, 0, -height % COARSE))
    far = F.interpolate(F.avg_pool2d(even, COARSE), scale_factor=COARSE, mode="bilinear", align_corners=False)
    far = _mean(far[..., :height, :width])
    return (image - near) * mask, (near - far) * mask


def _mean(inside: Tensor) -> Tensor:
    return inside[:, :3] / inside[:, 3:].clamp(min=1e-4)
