"""The detector: a U-Net that finds the damage of a picture, and says of which kind it is."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.networks.unet import UNet

CONTRAST, NEAR = 4.0, 9  # times how a pixel differs from its mean over so many px each way: scratches are faint


class Detector(UNet):
    """Logits of what each pixel is: sound, or damaged in one of so many ways."""

    def __init__(
        self,
        kinds: int,
        channels: int,
        blocks: int,
        scales: int,
        patch: int,
        block: str = "plain",
        attention: bool = False,
        decoder: str = "bilinear",
    ) -> None:
        super().__init__(6, 1 + kinds, channels, blocks, scales, patch, block, attention, decoder)

    def forward(self, image: Tensor) -> Tensor:
        """Look at pictures of any size, float N3HW in [0, 1].

        Returns:
            float NCHW, logits: of a sound pixel, then of each kind of damage.
        """
        mean = F.avg_pool2d(image, NEAR, stride=1, padding=NEAR // 2, count_include_pad=False)
        return self.planes(torch.cat([image - 0.5, CONTRAST * (image - mean)], 1))


def damage_of(logits: Tensor) -> Tensor:
    """The probability that a pixel is damaged, of whatever kind: float N1HW, of the detector's logits (NCHW)."""
    return 1 - logits.softmax(1)[:, :1]
