"""Write a trained network as ONNX, for programs without PyTorch.

mendline export models/portraits

The graph of a generator takes `image` and `start`, float32 [N, 3, H, W] in [0, 1], and `mask`, float32 [N, 1, H, W],
1 where to restore; it gives `restored`, like `image`. H and W are free, from 16 px. `start` is the image with its hole
filled smoothly, as `pipeline.priors.numpy_fill` does; where the mask is 1 everywhere, it is the image. The graph of a
detector takes `image` and gives `damage`, the probability that a pixel is damaged, float32 [N, 1, H, W]. That of an
enlarger takes `image` and gives `x2`, `x3` and `x4`, that many times as large: ask for one of them. That of a
translator takes `image` and gives `translated`, like it. The weights are not written again: the graph points into
`generator.safetensors`, which has to lie beside it.
"""

import json
import warnings
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.inference import backends
from pipeline.networks import weights
from pipeline.networks.detector import Detector, damage_of
from pipeline.networks.enlarger import FACTORS, Enlarger
from pipeline.networks.generator import Generator
from pipeline.networks.translator import Translator
from pipeline.runtime.errors import UserError

OUT = Path("data/model")
CPU = torch.device("cpu")
CLOSE = 1e-4  # the most that a pixel may differ from PyTorch's, of 1
SIZES = [(64, 64), (75, 130), (161, 48)]  # px: on which that is checked
EXAMPLE = (2, 91, 83)  # pictures, height, width: no multiples of the stride, or padding would be left out
OPSET = 18
TAPS = 5  # px each way that the bicubic filter takes together


class Refine(nn.Module):
    """The generator with `refine` as its `forward`, which is what an export takes."""

    inputs, outputs = [*backends.INPUTS], ["restored"]

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor, mask: Tensor, start: Tensor) -> Tensor:
        """As `Generator.refine`."""
        return self.generator.refine(image, mask, start)


class Find(nn.Module):
    """The detector with the probability of damage as what its `forward` gives."""

    inputs, outputs = ["image"], ["damage"]

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.generator = detector

    def forward(self, image: Tensor) -> Tensor:
        """Float N3HW in [0, 1] to float N1HW in [0, 1]."""
        return damage_of(self.generator(image))


class Enlarge(nn.Module):
    """The enlarger with all factors at once as what its `forward` gives.

    The bicubic filter is a convolution here: what ONNX Runtime has for it takes twice the time of all the rest.
    """

    inputs, outputs = ["image"], backends.ENLARGED

    def __init__(self, enlarger: Enlarger) -> None:
        super().__init__()
        self.generator = enlarger
        self.filters = {factor: bicubic_filter(factor) for factor in FACTORS}

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Float N3HW in [0, 1] to one of float N3HW for each factor."""
        features, padded = self.generator.features(image), F.pad(image, (TAPS // 2,) * 4, mode="replicate")
        return tuple(
            F.pixel_shuffle(
                self.generator.heads[f"x{factor}"](features) + F.conv2d(padded, self.filters[factor], groups=3), factor
            )
            for factor in FACTORS
        )


class Translate(nn.Module):
    """The translator, under the name that `point_at_weights` looks for."""

    inputs, outputs = ["image"], ["translated"]

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        self.generator = translator

    def forward(self, image: Tensor) -> Tensor:
        """Float N3HW in [0, 1] to float N3HW."""
        return self.generator(image)


Exported = Refine | Find | Enlarge | Translate


def bicubic_filter(factor: int) -> Tensor:
    """What the bicubic filter makes of a pixel and those around it: the weights of a convolution of three groups.

    Returns:
        float [3 * factor**2, 1, TAPS, TAPS], for each channel one for each pixel of the square.
    """
    impulses = torch.eye(TAPS**2).view(TAPS**2, 1, TAPS, TAPS)
    large = F.interpolate(impulses, scale_factor=factor, mode="bicubic", align_corners=False)
    inner = slice(TAPS // 2 * factor, (TAPS // 2 + 1) * factor)
    square = large[:, 0, inner, inner].permute(1, 2, 0).reshape(factor**2, 1, TAPS, TAPS)
    return square.repeat(3, 1, 1, 1)


def wrap(network: nn.Module, folder: Path) -> Exported:
    """What an export takes of the network of a folder.

    Raises:
        UserError: it is of the textbook design.
    """
    if isinstance(network, Detector):
        return Find(network)
    if isinstance(network, Enlarger):
        return Enlarge(network)
    if isinstance(network, Translator):
        return Translate(network)
    return Refine(weights.load_refiner(folder, CPU))


def main(folder: Path) -> None:
    """Write `generator.onnx` into the model's folder, once it gives what PyTorch gives.

    Raises:
        UserError: the folder is an out of DVC, to which nothing may be added, or of the textbook design; or the two
            differ.
    """
    if folder.resolve() == OUT.resolve():
        raise UserError(f"{folder}: is an out of DVC; save the model first (mendline save NAME), and export that")
    network = wrap(weights.load(folder, CPU), folder)
    config = json.loads((folder / "config.json").read_text())
    partial = folder / f".{backends.ONNX}"
    try:
        write(network, config, partial)
        furthest = DIFFERENCES[type(network)](folder, partial)
        if furthest > CLOSE:
            raise UserError(f"{folder}: ONNX differs from PyTorch by {furthest:.1e}; nothing was written")
        partial.replace(folder / backends.ONNX)
    finally:
        partial.unlink(missing_ok=True)
    print(f"{folder / backends.ONNX}: differs from PyTorch by {furthest:.1e} at most")


def write(network: Exported, config: dict, path: Path) -> None:
    """Export, with the configuration and the weights' SHA-256 as metadata.

    Raises:
        UserError: the packages for it are not installed.
    """
    try:
        import onnx
    except ImportError:
        raise UserError("onnx is not installed; pip install onnx onnxruntime") from None
    count, height, width = EXAMPLE
    examples = {name: torch.rand(count, backends.INPUTS[name], height, width) for name in network.inputs}
    free = {0: "count", 2: "height", 3: "width"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, but what replaces it fixes the remainders of the sizes
        torch.onnx.export(
            network.eval(),
            tuple(examples.values()),
            str(path),
            input_names=network.inputs,
            output_names=network.outputs,
            dynamic_axes={name: free for name in (*network.inputs, *network.outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
    graph = onnx.load(path)
    weights = path.with_name(backends.WEIGHTS)
    digest = sha256(weights.read_bytes()).hexdigest()
    onnx.helper.set_model_props(graph, {"config": json.dumps(config), "weights": digest})
    point_at_weights(graph, weights)
    onnx.save(graph, path)


def point_at_weights(graph: Any, weights: Path) -> None:
    """Replace the tensors of the graph by their places in the safetensors file: 8 bytes of length, a header, data."""
    from onnx import external_data_helper

    content = weights.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    for tensor in graph.graph.initializer:
        if entry := header.get(tensor.name.removeprefix("generator.")):
            first, end = (begin + offset for offset in entry["data_offsets"])
            external_data_helper.set_external_data(tensor, weights.name, first, end - first)
            tensor.ClearField("raw_data")


def difference(folder: Path, path: Path) -> float:
    """The most that ONNX Runtime and PyTorch differ, over a few sizes."""
    (ours, _), (theirs, _) = backends.load(folder), backends.load(path)
    rng = np.random.default_rng(0)
    furthest = 0.0
    for size in SIZES:
        image, start = (rng.random((*size, 3), np.float32) for _ in range(2))
        hole = rng.random(size) < 0.5
        furthest = max(furthest, float(np.abs(ours(image, hole, start) - theirs(image, hole, start)).max()))
    return furthest


def detector_difference(folder: Path, path: Path) -> float:
    """The same of a detector."""
    ours, theirs = backends.load_detector(folder), backends.load_detector(path)
    pictures = [np.random.default_rng(0).random((*size, 3), np.float32) for size in SIZES]
    return max(float(np.abs(ours(picture) - theirs(picture)).max()) for picture in pictures)


def enlarger_difference(folder: Path, path: Path) -> float:
    """The same of an enlarger, over its factors too."""
    (ours, _), (theirs, _) = backends.load_enlarger(folder), backends.load_enlarger(path)
    pictures = [np.random.default_rng(0).random((*size, 3), np.float32) for size in SIZES]
    return max(
        float(np.abs(ours(picture, factor) - theirs(picture, factor)).max())
        for picture in pictures
        for factor in FACTORS
    )


def translator_difference(folder: Path, path: Path) -> float:
    """The same of a translator."""
    ours, theirs = backends.load_translator(folder), backends.load_translator(path)
    pictures = [np.random.default_rng(0).random((*size, 3), np.float32) for size in SIZES]
    return max(float(np.abs(ours(picture) - theirs(picture)).max()) for picture in pictures)


DIFFERENCES: dict[type[nn.Module], Callable[[Path, Path], float]] = {
    Refine: difference,
    Find: detector_difference,
    Enlarge: enlarger_difference,
    Translate: translator_difference,
}
