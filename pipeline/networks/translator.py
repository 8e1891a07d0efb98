"""The translator: a U-Net that changes the look of a picture, and keeps what is on it."""

import torch
from torch import Tensor, nn

from pipeline.networks.unet import UNet

PROJECTED = 64  # width of what patches are compared in


class Translator(UNet):
    """Translates pictures of one domain into another, of any size: no layer looks at the whole of a picture.

    It paints, and decides for each pixel how much of the input stays: near a photo little is to be painted, and of a
    drawing on white nearly all. Untrained it gives half of the picture, in grey.

    Attributes:
        projections: for each layer of `features`, the head H of CUT (Park et al. 2020, section 3), a perceptron of two
            layers. Only training needs them; they stay with the weights, so that it can go on from these.
    """

    def __init__(
        self,
        channels: int,
        blocks: int,
        scales: int,
        patch: int,
        block: str = "plain",
        attention: bool = False,
        decoder: str = "bilinear",
    ) -> None:
        super().__init__(3, 4, channels, blocks, scales, patch, block, attention, decoder)
        widths = [channels, *(channels * 2**scale for scale in range(scales))]
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Linear(width, PROJECTED), nn.ReLU(), nn.Linear(PROJECTED, PROJECTED)) for width in widths
        )

    def forward(self, image: Tensor) -> Tensor:
        """Translate pictures of any size, float N3HW in [0, 1].

        Returns:
            The same; it may leave [0, 1] by a little.
        """
        planes = self.planes(image - 0.5).float()
        return torch.lerp(0.5 + planes[:, :3], image, planes[:, 3:].sigmoid())

    def features(self, image: Tensor) -> list[Tensor]:
        """What the encoder makes of pictures, float N3HW in [0, 1] with sides that are multiples of `stride`.

        Returns:
            float NCHW: of the first layer, then of each scale.
        """
        x = self.stem(image - 0.5)
        found = [x]
        for scale, encoder in enumerate(self.encoder):
            x = encoder(self.down[scale - 1](x) if scale else x)
            found.append(x)
        return found
