"""A discriminator that looks at the features of a network trained elsewhere."""

import io

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from pipeline.networks import pretrained
from pipeline.networks.efficientnet import CHANNELS, EfficientNetLite0

DEVIATIONS = (6.8, 9.3, 8.3, 7.2)  # of the features of photographs, measured on 100 of MS-COCO at 128 px


class ProjectedDiscriminator(nn.Module):
    """Judges patches at four scales by random projections of frozen features (Sauer et al. 2021, Projected GANs).

    The features of each scale are mixed across channels, and with those of the next coarser scale, by convolutions that
    are never trained (there figure 2). Only the small heads are, under spectral normalization (Miyato et al. 2018).
    """

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.network = EfficientNetLite0()
        self.across_channels = nn.ModuleList(_random_projection(count, channels, 1) for count in CHANNELS)
        self.across_scales = nn.ModuleList(_random_projection(channels, channels, 3) for _ in CHANNELS)
        self.heads = nn.ModuleList(_head(channels) for _ in CHANNELS)

    def embed(self, image: Tensor) -> list[Tensor]:
        """The features of pictures (float N3HW in [0, 1]), in their standard deviations; the finest first."""
        return [x / deviation for x, deviation in zip(self.network(image), DEVIATIONS, strict=True)]

    def forward(self, embedded: list[Tensor], mask: Tensor) -> Tensor:
        """Score patches.

        Args:
            embedded: as `embed` gives it.
            mask: float N1HW, 1 where it was restored.

        Returns:
            float K, logits: high for real patches; of each position of the finest scale in which the hole lies, that of
            each scale there.
        """
        scores = [self._score(head, x, mask) for head, x in zip(self.heads, self._mix(embedded), strict=True)]
        finest = scores[0].shape[-2:]
        inside = F.adaptive_max_pool2d(mask, finest) > 0
        return torch.cat([F.interpolate(score, finest)[inside] for score in scores])

    def _mix(self, embedded: list[Tensor]) -> list[Tensor]:
        mixed: list[Tensor] = []
        for index in reversed(range(len(embedded))):
            x = self.across_channels[index](embedded[index])
            if mixed:
                coarser = F.interpolate(mixed[0], x.shape[-2:], mode="bilinear", align_corners=False)
                x = (x + coarser) / 2**0.5
            mixed.insert(0, self.across_scales[index](x))
        return mixed

    def _score(self, head: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
        return head(torch.cat([x, F.interpolate(mask, x.shape[-2:], mode="area")], 1))


def build_pretrained(channels: int, norm: str) -> ProjectedDiscriminator:
    """The discriminator with the frozen network's weights.

    Raises:
        UserError: they are not there; `make perceptual` brings them.
    """
    discriminator = ProjectedDiscriminator(channels, norm)
    content = pretrained.read("efficientnet_lite0")
    discriminator.network.load(torch.load(io.BytesIO(content), weights_only=True))
    return discriminator


def _random_projection(channels: int, channels_out: int, kernel: int) -> nn.Conv2d:
    convolution = nn.Conv2d(channels, channels_out, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="linear")
    return convolution.requires_grad_(False)


def _head(channels: int) -> nn.Sequential:
    return nn.Sequential(
        spectral_norm(nn.Conv2d(channels + 1, channels, 3, padding=1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(channels, channels, 3, padding=1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(channels, 1, 1)),
    )
