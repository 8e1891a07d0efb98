"""The U-Net (Ronneberger et al. 2015) that the residual generator and the detector are."""

import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.networks.blocks import BLOCKS, DECODERS, Attention


class UNet(nn.Module):
    """Planes of a picture's size, of any size, from others.

    A pixel unshuffle makes `patch` x `patch` pixels one position, so that the convolutions run where they are cheap;
    each of the `scales` halves the resolution and doubles the width. There is no batch normalization, which small
    batches would break, and no transposed convolution, which leaves a checkerboard; the `bilinear` decoder draws no
    lattice either, as the pixel shuffle of constant features does. The last layer starts at zero.

    Attributes:
        stride: pixels, each way, that one position of the coarsest scale stands for.
    """

    def __init__(
        self,
        planes_in: int,
        planes_out: int,
        channels: int,
        blocks: int,
        scales: int,
        patch: int,
        block: str,
        attention: bool,
        decoder: str,
    ) -> None:
        super().__init__()
        widths = [channels * 2**scale for scale in range(scales)]
        self.stride = patch * 2 ** (scales - 1)
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

    def planes(self, x: Tensor) -> Tensor:
        """Float NCHW with `planes_in` channels to float NCHW with `planes_out`."""
        height, width = x.shape[-2:]
        x = self.stem(_pad(x, (0, -width % self.stride, 0, -height % self.stride)))
        skips = []
        for encoder, down in zip(self.encoder, self.down, strict=False):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.encoder[-1](x)
        for decoder, up, skip in reversed(list(zip(self.decoder, self.up, skips, strict=True))):
            x = decoder(up(x) + skip)
        return self.head(x)[..., :height, :width]


def _blocks(block: str, width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(BLOCKS[block](width) for _ in range(count)))


def _pad(x: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """Reflect; replicate where the picture is too small to be reflected."""
    if not any(padding):
        return x
    reflectable = padding[1] < x.shape[-1] and padding[3] < x.shape[-2]
    return F.pad(x, padding, mode="reflect" if reflectable else "replicate")
