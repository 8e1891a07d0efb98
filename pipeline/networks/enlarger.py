"""The enlarger: a residual network that works at low resolution and enlarges last."""

import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.networks.blocks import BLOCKS, zero_init

FACTORS = (2, 3, 4)
STRIDE = 12  # px of a large picture: a multiple of all of them


class Enlarger(nn.Module):
    """Makes a picture 2, 3 or 4 times larger; the factors share all layers but the last (MDSR, Lim et al. 2017).

    The last layer gives each pixel the square that it becomes (ESPCN, Shi et al. 2016), added to the bicubic filter's.
    It starts at zero: untrained the network is that filter.

    Attributes:
        stride: px of a large picture: sides that are a multiple of it are so of a small one by every factor.
    """

    stride = STRIDE

    def __init__(self, channels: int, blocks: int, block: str) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(BLOCKS[block](channels) for _ in range(blocks)))
        self.heads = nn.ModuleDict(
            {f"x{factor}": zero_init(nn.Conv2d(channels, 3 * factor**2, 3, padding=1)) for factor in FACTORS}
        )

    def forward(self, small: Tensor, factor: int) -> Tensor:
        """Enlarge pictures of any size.

        Args:
            small: float N3HW in [0, 1].
            factor: one of `FACTORS`.

        Returns:
            float N3HW, `factor` times as high and wide. It may leave [0, 1] by a little.
        """
        return self.grow(small, self.features(small), factor)

    def features(self, small: Tensor) -> Tensor:
        """What all factors share: float N3HW to float NCHW."""
        features = self.stem(small - 0.5)
        return features + self.body(features)

    def grow(self, small: Tensor, features: Tensor, factor: int) -> Tensor:
        """`forward`, from the picture's features."""
        detail = F.pixel_shuffle(self.heads[f"x{factor}"](features), factor)
        return F.interpolate(small, scale_factor=factor, mode="bicubic", align_corners=False) + detail
