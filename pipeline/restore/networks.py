"""A trained generator as a function of arrays: from a model folder with PyTorch, or from an ONNX file without it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.restore.scales import Network

ONNX = "generator.onnx"
LEAST = 16  # px: what an exported generator takes


def load(source: Path) -> tuple[Network, str]:
    """The network of a model, and the prior it starts from.

    Args:
        source: a model folder, or the ONNX file in it. Where PyTorch is not installed, the folder's ONNX file is used.

    Raises:
        UserError: it is none of these, of another version, or what runs it is not installed.
    """
    if source.suffix == ".onnx":
        return _with_onnx(source)
    try:
        return _with_torch(source)
    except ImportError as error:
        if (source / ONNX).exists():
            return _with_onnx(source / ONNX)
        raise UserError(f"{source}: {error.name} is not installed; install it, or give an ONNX file") from None


def _with_torch(folder: Path) -> tuple[Network, str]:
    import torch

    from pipeline.gan import device, model
    from pipeline.gan.generator import Generator

    place = device.pick()
    generator = model.load(folder, place)
    if not isinstance(generator, Generator):
        raise UserError(f"{folder}: the textbook design is for comparison alone; give a model of the other design")

    def network(image: np.ndarray, hole: np.ndarray, start: np.ndarray) -> np.ndarray:
        planes = (array.transpose(2, 0, 1)[None] for array in (image, hole[..., None], start))
        tensors = (torch.tensor(array, dtype=torch.float32, device=place) for array in planes)
        with torch.inference_mode():
            return generator.refine(*tensors)[0].permute(1, 2, 0).cpu().numpy()

    return network, generator.prior


def _with_onnx(path: Path) -> tuple[Network, str]:
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"{path}: onnxruntime is not installed; pip install onnxruntime") from None
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        config: dict[str, Any] = json.loads(session.get_modelmeta().custom_metadata_map["config"])
        prior = config["generator"]["prior"]
    except Exception as error:  # onnxruntime's errors have no common class of their own
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not a generator ({reason}); export one, and keep its weights beside it") from None

    def network(image: np.ndarray, hole: np.ndarray, start: np.ndarray) -> np.ndarray:
        height, width = hole.shape
        missing = (0, max(0, LEAST - height)), (0, max(0, LEAST - width)), (0, 0)
        arrays = {"image": image, "mask": hole[..., None].astype(np.float32), "start": start}
        planes = {name: np.pad(array, missing, "edge").transpose(2, 0, 1)[None] for name, array in arrays.items()}
        return session.run(["restored"], planes)[0][0].transpose(1, 2, 0)[:height, :width]

    return network, prior
