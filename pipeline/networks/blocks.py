"""What a residual generator is built of. Each block is float NCHW to float NCHW, and the identity at the start."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DILATIONS = (1, 2, 4, 8)  # AOT-GAN, Zeng et al. 2022, section IV-A


class LayerNorm2d(nn.Module):
    """Layer normalization over the channels of each position, as in NAFNet (Chen et al. 2022).

    It knows neither the batch nor the size of the picture. Without it, training with large steps dies.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Float NCHW to float NCHW."""
        return F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias).permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, the activation between them (as in EDSR, Lim et al. 2017), after a normalization."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = zero_init(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Float NCHW to float NCHW."""
        return x + self.second(F.silu(self.first(self.norm(x))))


class GatedBlock(nn.Module):
    """The first convolution gated by another (DeepFillv2, Yu et al. 2019, section 3.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.first = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.second = zero_init(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Float NCHW to float NCHW."""
        features, gate = self.first(self.norm(x)).chunk(2, 1)
        return x + self.second(F.silu(features) * gate.sigmoid())


class DilatedBlock(nn.Module):
    """A quarter of the width at each of four dilations, aggregated (AOT-GAN, Zeng et al. 2022, figure 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.branches = nn.ModuleList(
            nn.Conv2d(channels, channels // 4, 3, padding=rate, dilation=rate) for rate in DILATIONS
        )
        self.second = zero_init(nn.Conv2d(4 * (channels // 4), channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Float NCHW to float NCHW."""
        normed = self.norm(x)
        return x + self.second(F.silu(torch.cat([branch(normed) for branch in self.branches], 1)))


class ConvNeXtBlock(nn.Module):
    """A 7x7 depthwise convolution and a wide pointwise pair (ConvNeXt, Liu et al. 2022, figure 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = LayerNorm2d(channels)
        self.first = nn.Conv2d(channels, 4 * channels, 1)
        self.second = zero_init(nn.Conv2d(4 * channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Float NCHW to float NCHW."""
        return x + self.second(F.silu(self.first(self.norm(self.spread(x)))))


class Attention(nn.Module):
    """Every position looks at every other (Vaswani et al. 2017), with heads of 32 channels or a few more."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = next(heads for heads in range(max(1, channels // 32), 0, -1) if channels % heads == 0)
        self.norm = LayerNorm2d(channels)
        self.project = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zero_init(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Float NCHW to float NCHW."""
        batch, channels, height, width = x.shape
        projected = self.project(self.norm(x)).view(batch, 3, self.heads, channels // self.heads, height * width)
        query, key, value = projected.transpose(-1, -2).unbind(1)
        found = F.scaled_dot_product_attention(query, key, value)
        return x + self.out(found.transpose(-1, -2).reshape(x.shape))


class Upsample(nn.Module):
    """Twice the resolution: a pointwise convolution, enlarged bilinearly (after Odena et al. 2016).

    A pixel shuffle draws the same few pixels over and over wherever the features are constant; this stays constant.
    """

    def __init__(self, channels: int, channels_out: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Float NCHW to float NCHW."""
        return F.interpolate(self.convolution(x), scale_factor=2, mode="bilinear", align_corners=False)


class Head(nn.Module):
    """`patch` times the resolution, and zero until it is trained.

    What is smooth comes from the features, enlarged bilinearly; what is sharp from a pixel shuffle, of how the features
    differ from their mean over 3x3 positions. So constant features give a constant, where a shuffle of the features
    themselves would draw a lattice.
    """

    def __init__(self, channels: int, planes: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.norm = LayerNorm2d(channels)
        self.smooth = zero_init(nn.Conv2d(channels, planes, 3, padding=1))
        self.sharp = zero_init(nn.Conv2d(channels, planes * patch**2, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Float NCHW to float NCHW."""
        x = self.norm(x)
        smooth = F.interpolate(self.smooth(x), scale_factor=self.patch, mode="bilinear", align_corners=False)
        mean = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        return smooth + F.pixel_shuffle(self.sharp(x - mean), self.patch)


class Fine(nn.Module):
    """What is restored from a pixel to the next: three 3x3 convolutions at full resolution, zero until trained.

    They see how the start differs from its mean over 5x5 px, strongly, and the mask. The U-Net beside them attends to
    what is large: of single lost pixels it learns next to nothing.
    """

    CONTRAST, NEAR = 8.0, 5

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = zero_init(nn.Conv2d(channels, 3, 3, padding=1))

    def forward(self, start: Tensor, mask: Tensor) -> Tensor:
        """Float N3HW and N1HW to float N3HW, what to add."""
        mean = F.avg_pool2d(start, self.NEAR, stride=1, padding=self.NEAR // 2, count_include_pad=False)
        x = torch.cat([self.CONTRAST * (start - mean), mask], 1)
        return self.last(F.silu(self.second(F.silu(self.first(x)))))


def shuffle_upsample(channels: int, channels_out: int) -> nn.Module:
    """As `Upsample`, by a pixel shuffle (Shi et al. 2016)."""
    return nn.Sequential(nn.Conv2d(channels, 4 * channels_out, 1), nn.PixelShuffle(2))


def shuffle_head(channels: int, planes: int, patch: int) -> nn.Module:
    """As `Head`, by a pixel shuffle alone."""
    convolution = zero_init(nn.Conv2d(channels, planes * patch**2, 3, padding=1))
    return nn.Sequential(LayerNorm2d(channels), convolution, nn.PixelShuffle(patch))


DECODERS: dict[str, tuple[Callable[..., nn.Module], Callable[..., nn.Module]]] = {
    "bilinear": (Upsample, Head),
    "shuffle": (shuffle_upsample, shuffle_head),
}
"""How the decoder enlarges: what doubles the resolution between two scales, and the last layer."""

BLOCKS = {"plain": ResidualBlock, "gated": GatedBlock, "dilated": DilatedBlock, "large": ConvNeXtBlock}


def zero_init(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer, giving zero until it is trained."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
