"""A trained generator as a function of arrays: from a model folder with PyTorch, or from an ONNX file without it."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.inference.pyramid import Network
from pipeline.priors.numpy_fill import SWEEPS
from pipeline.runtime.errors import UserError

ONNX = "generator.onnx"
WEIGHTS = "generator.safetensors"
INPUTS = {"image": 3, "mask": 1, "start": 3}  # their channels
PATCHES = "exemplar"  # the prior that `exemplars` makes, not `numpy_fill`
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
        if not (source / WEIGHTS).is_file():
            raise UserError(f"{source}: no model ({WEIGHTS} is missing); give the folder of a whole model") from None
        raise UserError(f"{source}: {error.name} is not installed; install it, or give an ONNX file") from None


def _with_torch(folder: Path) -> tuple[Network, str]:
    import torch

    from pipeline.networks import device, weights

    place = device.resolve_device()
    generator = weights.load_refiner(folder, place)

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
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a model folder, or the ONNX file in it")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is raised, too
    try:
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        _check(session, path.with_name(WEIGHTS))
        prior = _prior(session)
    except Exception as error:  # onnxruntime's errors have no common class of their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not a generator ({reason}); export one, and keep its weights beside it") from None

    def network(image: np.ndarray, hole: np.ndarray, start: np.ndarray) -> np.ndarray:
        height, width = hole.shape
        missing = (0, max(0, LEAST - height)), (0, max(0, LEAST - width)), (0, 0)
        arrays = {"image": image, "mask": hole[..., None].astype(np.float32), "start": start}
        planes = {name: np.pad(array, missing, "edge").transpose(2, 0, 1)[None] for name, array in arrays.items()}
        return session.run(["restored"], planes)[0][0].transpose(1, 2, 0)[:height, :width]

    return network, prior


def _check(session: Any, weights: Path) -> None:
    """Refuse a graph that takes or gives something else than a generator, or whose weights are not its own.

    Older exports do not say which weights are theirs: it is tried, too.
    """
    takes = {each.name: (each.type, each.shape[1:2]) for each in session.get_inputs()}
    gives = [(each.name, each.type) for each in session.get_outputs()]
    expected = {name: ("tensor(float)", [channels]) for name, channels in INPUTS.items()}
    if takes != expected or gives != [("restored", "tensor(float)")]:
        raise ValueError(f"it takes {', '.join(takes)} and gives {', '.join(name for name, _ in gives)}")
    digest = session.get_modelmeta().custom_metadata_map.get("weights")
    if digest and sha256(weights.read_bytes()).hexdigest() != digest:
        raise ValueError(f"{weights.name} beside it is another model's")
    grey = {name: np.full((1, channels, LEAST, LEAST), 0.5, np.float32) for name, channels in INPUTS.items()}
    (restored,) = session.run(["restored"], grey)
    if restored.shape != grey["image"].shape or not np.isfinite(restored).all():
        raise ValueError("what it gives is no picture")


def _prior(session: Any) -> str:
    prior = json.loads(session.get_modelmeta().custom_metadata_map["config"])["generator"]["prior"]
    if prior not in (*SWEEPS, PATCHES):
        raise ValueError(f"unknown prior {str(prior)[:40]!r}")
    return prior
