"""The design of the first conditional GANs, as a baseline: what all that came after is worth.

Transposed convolutions, batch normalization, no prior: the U-Net generator and the discriminator of pix2pix (Isola et
al. 2017, section 6.1), on a picture whose hole is grey. It is meant to be trained with the `minimax` objective, whose
sigmoid is part of the loss.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TextbookGenerator(nn.Module):
    """Strided convolutions down, transposed ones up, with skips; `scales` halvings from `channels` wide."""

    def __init__(self, channels: int, scales: int) -> None:
        super().__init__()
        widths = [channels * min(8, 2**scale) for scale in range(scales)]
        self.stride = 2**scales
        self.encoder = nn.ModuleList([nn.Conv2d(4, channels, 4, stride=2, padding=1)])
        for narrow, wide in pairwise(widths):
            convolution = nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False)
            self.encoder.append(nn.Sequential(nn.LeakyReLU(0.2), convolution, nn.BatchNorm2d(wide)))
        self.decoder = nn.ModuleList()
        for number, (narrow, wide) in enumerate(pairwise(widths)):
            joined = wide if number == scales - 2 else 2 * wide
            transposed = nn.ConvTranspose2d(joined, narrow, 4, stride=2, padding=1, bias=False)
            self.decoder.append(nn.Sequential(nn.ReLU(), transposed, nn.BatchNorm2d(narrow)))
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(channels if scales == 1 else 2 * channels, 3, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """As `Generator.forward`. Where the mask is 1 everywhere, the whole picture is looked at."""
        height, width = image.shape[-2:]
        blind = mask.amin(dim=(2, 3), keepdim=True)
        x = torch.cat([(image - 0.5) * (1 - mask * (1 - blind)), mask], 1)
        x = F.pad(x, (0, -width % self.stride, 0, -height % self.stride), mode="replicate")
        skips = []
        for encoder in self.encoder:
            x = encoder(x)
            skips.append(x)
        x = skips.pop()
        for decoder, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
            x = torch.cat([decoder(x), skip], 1)
        painted = (self.head(x).float()[..., :height, :width] + 1) / 2
        return torch.lerp(image, painted, mask)
