"""The discriminator of pix2pix: judges patches of the composed picture."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PatchGan(nn.Module):
    """A PatchGAN (Isola et al. 2017, section 3.2.2) on the picture and its mask, with a stride of 8 pixels.

    The known pixels of a restored picture are real, so a patch that sees no hole tells nothing. The score of a picture
    is therefore the mean over the patches in whose cell the hole lies (as the soft labels of AOT-GAN, Zeng et al.
    2022, section III-D, but as weights).
    """

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(4, channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for width in (channels, 2 * channels):
            layers += [nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)]
            layers += [nn.BatchNorm2d(2 * width)] if norm == "batch" else []
            layers += [nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(4 * channels, 1, 3, padding=1))

    def embed(self, image: Tensor) -> list[Tensor]:
        """What is judged of pictures (float N3HW in [0, 1], composed; H and W at least 8): their pixels."""
        return [image]

    def forward(self, embedded: list[Tensor], mask: Tensor) -> Tensor:
        """Score each picture.

        Args:
            embedded: as `embed` gives it.
            mask: float N1HW, 1 where it was restored; of a detector, the probability of damage.

        Returns:
            float N, a logit: high for a real picture; 0 where nothing was restored.
        """
        scores, hole = self.score_patches(embedded, mask)
        return (scores * hole).sum((1, 2, 3)) / hole.sum((1, 2, 3)).clamp(min=1e-6)

    def score_patches(self, embedded: list[Tensor], mask: Tensor) -> tuple[Tensor, Tensor]:
        """The logit of each patch, and whether the hole lies in its cell: both float N1HW."""
        (image,) = embedded
        scores = self.layers(torch.cat([image - 0.5, mask], 1))
        return scores, F.adaptive_max_pool2d(mask, scores.shape[-2:])


class Patches(PatchGan):
    """The same, of which each patch is told to be real or not, as Isola et al. have it.

    A whole picture to be judged has no patches that tell nothing, and the mean of its logits hides which are wrong.
    """

    def forward(self, embedded: list[Tensor], mask: Tensor) -> Tensor:
        """As `PatchGan.forward`, with a logit for each patch of all pictures that sees the hole."""
        scores, hole = self.score_patches(embedded, mask)
        return scores[hole > 0]
