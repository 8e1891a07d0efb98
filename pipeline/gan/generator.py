"""The generator: a residual U-Net on the harmonic prior."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.gan.prior import harmonic_fill


class Block(nn.Module):
    """Two 3x3 convolutions around a residual connection; the identity at the start. NCHW to NCHW."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Float NCHW to float NCHW."""
        return x + self.second(F.silu(self.first(F.silu(x))))


class Generator(nn.Module):
    """Restores the hole of a picture, or the whole of it, and keeps every other pixel.

    A pixel unshuffle makes `patch` x `patch` pixels one position, so that the convolutions run where they are cheap;
    each of the `scales` halves the resolution and doubles the width. There is no normalization, which small batches
    would break, and no transposed convolution, which leaves a checkerboard. The last layer starts at zero, so an
    untrained generator gives the prior.
    """

    def __init__(self, channels: int, blocks: int, scales: int, patch: int) -> None:
        super().__init__()
        widths = [channels * 2**scale for scale in range(scales)]
        self.stride = patch * 2 ** (scales - 1)
        self.stem = nn.Sequential(nn.PixelUnshuffle(patch), nn.Conv2d(4 * patch**2, channels, 3, padding=1))
        self.encoder = nn.ModuleList(_blocks(width, blocks) for width in widths)
        self.down = nn.ModuleList(
            nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * width, 2 * width, 1)) for width in widths[:-1]
        )
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * width, 4 * width, 1), nn.PixelShuffle(2)) for width in widths[:-1]
        )
        self.decoder = nn.ModuleList(_blocks(width, blocks) for width in widths[:-1])
        self.head = nn.Sequential(nn.SiLU(), nn.Conv2d(channels, 3 * patch**2, 3, padding=1), nn.PixelShuffle(patch))
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Restore pictures of any size.

        Args:
            image: float N3HW in [0, 1], the damaged pictures.
            mask: float N1HW, 1 where to restore, 0 where to keep. Where it is 1 everywhere the picture is taken as
                degraded; elsewhere the image's pixels in the hole are not looked at.

        Returns:
            float N3HW, composed: `image` where the mask is 0. It may leave [0, 1] by a little.
        """
        height, width = image.shape[-2:]
        padding = (0, -width % self.stride, 0, -height % self.stride)
        prior = harmonic_fill(image, mask)
        x = _pad(torch.cat([prior - 0.5, mask], 1), padding)
        residual = self._residual(x)[..., :height, :width]
        return torch.lerp(image, prior + residual, mask)

    def _residual(self, x: Tensor) -> Tensor:
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


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width) for _ in range(count)))


def _pad(x: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """Reflect; replicate where the picture is too small to be reflected."""
    if not any(padding):
        return x
    reflectable = padding[1] < x.shape[-1] and padding[3] < x.shape[-2]
    return F.pad(x, padding, mode="reflect" if reflectable else "replicate")
