"""The generator: a residual U-Net on a smooth prior."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.networks.blocks import BLOCKS, DECODERS, Attention, Fine
from pipeline.priors import torch_fill

FINE, COARSE = 3, 8  # px: the squares over which `details` takes its means


class Generator(nn.Module):
    """Restores the hole of a picture, or the whole of it, and keeps every other pixel.

    A pixel unshuffle makes `patch` x `patch` pixels one position, so that the convolutions run where they are cheap;
    each of the `scales` halves the resolution and doubles the width. There is no batch normalization, which small
    batches would break, and no transposed convolution, which leaves a checkerboard; the `bilinear` decoder draws no
    lattice either, as the pixel shuffle of constant features does. The last layers start at zero, so an untrained
    generator gives the prior.

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
        super().__init__()
        widths = [channels * 2**scale for scale in range(scales)]
        self.prior, self.see_through, self.copy_pixels = prior, see_through, copy_pixels and see_through
        self.least_seen = least_seen
        self.stride = patch * 2 ** (scales - 1)
        planes_in, planes_out = (10, 5 + self.copy_pixels) if see_through else (4, 3)
        self.stem = nn.Sequential(nn.PixelUnshuffle(patch), nn.Conv2d(planes_in * patch**2, channels, 3, padding=1))
        encoder = [_blocks(block, width, blocks) for width in widths]
        if attention:
            encoder[-1].append(Attention(widths[-1]))
        self.encoder = nn.ModuleList(encoder)
        self.down = nn.ModuleList(
            nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * width, 2 * width, 1)) for width in widths[:-1]
        )
        upsample, head = DECODERS[decoder]
        self.up = nn.ModuleList(upsample(2 * width, width) for width in widths[:-1])
        self.decoder = nn.ModuleList(_blocks(block, width, blocks) for width in widths[:-1])
        self.head = head(channels, planes_out, patch)
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
        height, width = image.shape[-2:]
        padding = (0, -width % self.stride, 0, -height % self.stride)
        seen = [start - 0.5, mask]
        if self.see_through:
            shown = opened(mask, self.least_seen)
            fine, coarse = details(image, shown)
            under = (image - start) * shown
            seen += [under, fine + coarse]
        planes = self._planes(_pad(torch.cat(seen, 1), padding))[..., :height, :width]
        restored = start + planes[:, :3]
        if self.fine:
            restored = restored + self.fine(start, mask)
        if self.see_through:
            restored = restored + planes[:, 3:4] * fine + planes[:, 4:5] * coarse
        if self.copy_pixels:
            restored = restored + planes[:, 5:6] * under
        return torch.lerp(image, restored, mask)

    def _planes(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        skips = []
        for encoder, down in zip(self.encoder, self.down, strict=False):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.encoder[-1](x)
        for decoder, up, skip in reversed(list(zip(self.decoder, self.up, skips, strict=True))):
            x = decoder(up(x) + skip)
        return self.head(x)


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


def _blocks(block: str, width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(BLOCKS[block](width) for _ in range(count)))


def _pad(x: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """Reflect; replicate where the picture is too small to be reflected."""
    if not any(padding):
        return x
    reflectable = padding[1] < x.shape[-1] and padding[3] < x.shape[-2]
    return F.pad(x, padding, mode="reflect" if reflectable else "replicate")
