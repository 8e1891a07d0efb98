"""A trained network as a function of arrays: from a model folder with PyTorch, or from an ONNX file without it."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pipeline.inference.pyramid import Network
from pipeline.priors.numpy_fill import SWEEPS
from pipeline.runtime.errors import UserError

ONNX = "generator.onnx"
WEIGHTS = "generator.safetensors"
INPUTS = {"image": 3, "mask": 1, "start": 3}  # their channels
REACH = {"plain": 2, "gated": 2, "dilated": 9, "large": 3}  # px each way, of the blocks of an enlarger
ENLARGED = ["x2", "x3", "x4"]  # what an exported enlarger gives, one a factor
PATCHES = "exemplar"  # the prior that `exemplars` makes, not `numpy_fill`
LEAST = 16  # px: what an exported network takes

Loaded = TypeVar("Loaded")
Find = Callable[[np.ndarray], np.ndarray]
"""float32 HW3 in [0, 1] -> the probability that each pixel is damaged, float32 HW in [0, 1]."""
Enlarge = Callable[[np.ndarray, int], np.ndarray]
"""(float32 HW3 in [0, 1], factor) -> float32 HW3, so many times as high and wide."""
Translate = Callable[[np.ndarray], np.ndarray]
"""float32 HW3 in [0, 1] -> float32 HW3, in another look."""


def load(source: Path) -> tuple[Network, str]:
    """The network of a model, and the prior it starts from.

    Args:
        source: a model folder, or the ONNX file in it. Where PyTorch is not installed, the folder's ONNX file is used.

    Raises:
        UserError: it is none of these, of another version, or what runs it is not installed.
    """
    return _load(source, _with_torch, _with_onnx)


def _load(source: Path, with_torch: Callable[[Path], Loaded], with_onnx: Callable[[Path], Loaded]) -> Loaded:
    if source.suffix == ".onnx":
        return with_onnx(source)
    try:
        return with_torch(source)
    except ImportError as error:
        if (source / ONNX).exists():
            return with_onnx(source / ONNX)
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


def load_detector(source: Path) -> Find:
    """The network of a detector.

    Args:
        source: as of `load`.

    Raises:
        UserError: as `load`; or it is another network.
    """
    return _load(source, _detector_with_torch, _detector_with_onnx)


def _detector_with_torch(folder: Path) -> Find:
    import torch

    from pipeline.networks import device, weights
    from pipeline.networks.detector import damage_of

    place = device.resolve_device()
    detector = weights.load_detector(folder, place)

    def find(image: np.ndarray) -> np.ndarray:
        planes = torch.tensor(image.transpose(2, 0, 1)[None], dtype=torch.float32, device=place)
        with torch.inference_mode():
            return damage_of(detector(planes))[0, 0].cpu().numpy()

    return find


def _detector_with_onnx(path: Path) -> Find:
    session = _open(path, "a detector", _check_detector)

    def find(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        padded = np.pad(image, _missing(height, width), "edge").transpose(2, 0, 1)[None]
        return session.run(["damage"], {"image": padded})[0][0, 0, :height, :width]

    return find


def load_enlarger(source: Path) -> tuple[Enlarge, int]:
    """The network of an enlarger, and how many px each way a pixel of the small picture is looked at with.

    Args:
        source: as of `load`.

    Raises:
        UserError: as `load`; or it is another network.
    """
    return _load(source, _enlarger_with_torch, _enlarger_with_onnx)


def _enlarger_with_torch(folder: Path) -> tuple[Enlarge, int]:
    import torch

    from pipeline.networks import device, weights

    place = device.resolve_device()
    enlarger = weights.load_enlarger(folder, place)

    def enlarge(image: np.ndarray, factor: int) -> np.ndarray:
        planes = torch.tensor(image.transpose(2, 0, 1)[None], dtype=torch.float32, device=place)
        with torch.inference_mode():
            return enlarger(planes, factor)[0].permute(1, 2, 0).cpu().numpy()

    return enlarge, _reach(json.loads((folder / "config.json").read_text()))


def _enlarger_with_onnx(path: Path) -> tuple[Enlarge, int]:
    session = _open(path, "an enlarger", _check_enlarger)
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True  # of the other factors nothing is computed

    def enlarge(image: np.ndarray, factor: int) -> np.ndarray:
        planes = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
        return session.run([f"x{factor}"], {"image": planes}, options)[0][0].transpose(1, 2, 0)

    return enlarge, _reach(_config(session))


def load_translator(source: Path) -> Translate:
    """The network of a translator.

    Args:
        source: as of `load`.

    Raises:
        UserError: as `load`; or it is another network.
    """
    return _load(source, _translator_with_torch, _translator_with_onnx)


def _translator_with_torch(folder: Path) -> Translate:
    import torch

    from pipeline.networks import device, weights

    place = device.resolve_device()
    translator = weights.load_translator(folder, place)

    def translate(image: np.ndarray) -> np.ndarray:
        planes = torch.tensor(image.transpose(2, 0, 1)[None], dtype=torch.float32, device=place)
        with torch.inference_mode():
            return translator(planes)[0].permute(1, 2, 0).cpu().numpy()

    return translate


def _translator_with_onnx(path: Path) -> Translate:
    session = _open(path, "a translator", _check_translator)

    def translate(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        padded = np.pad(image, _missing(height, width), "edge").transpose(2, 0, 1)[None]
        return session.run(["translated"], {"image": padded})[0][0].transpose(1, 2, 0)[:height, :width]

    return translate


def _reach(config: dict[str, Any]) -> int:
    """Through its blocks, the first layer and the last."""
    return 2 + config["generator"]["blocks"] * REACH[config["generator"].get("block", "plain")]


def _with_onnx(path: Path) -> tuple[Network, str]:
    session = _open(path, "a generator", _check)

    def network(image: np.ndarray, hole: np.ndarray, start: np.ndarray) -> np.ndarray:
        height, width = hole.shape
        arrays = {"image": image, "mask": hole[..., None].astype(np.float32), "start": start}
        missing = _missing(height, width)
        planes = {name: np.pad(array, missing, "edge").transpose(2, 0, 1)[None] for name, array in arrays.items()}
        return session.run(["restored"], planes)[0][0].transpose(1, 2, 0)[:height, :width]

    return network, _prior(session)


def _missing(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """What is to be added to each side of a picture that is smaller than an exported network takes."""
    return (0, max(0, LEAST - height)), (0, max(0, LEAST - width)), (0, 0)


def _open(path: Path, kind: str, check: Callable[[Any], None]) -> Any:
    """The session of an ONNX file that passes the check, with the weights that are its own.

    Raises:
        UserError: it is not such a file, or what runs it is not installed.
    """
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
        check(session)
        _check_weights(session, path.with_name(WEIGHTS))
    except Exception as error:  # onnxruntime's errors have no common class of their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not {kind} ({reason}); export one, and keep its weights beside it") from None
    return session


def _check(session: Any) -> None:
    """Refuse a graph that takes or gives something else than a generator.

    Older exports do not say which weights are theirs: it is tried, too.
    """
    _check_ends(session, INPUTS, "restored")
    grey = {name: np.full((1, channels, LEAST, LEAST), 0.5, np.float32) for name, channels in INPUTS.items()}
    (restored,) = session.run(["restored"], grey)
    if restored.shape != grey["image"].shape or not np.isfinite(restored).all():
        raise ValueError("what it gives is no picture")
    _prior(session)


def _check_detector(session: Any) -> None:
    _check_ends(session, {"image": 3}, "damage")


def _check_translator(session: Any) -> None:
    _check_ends(session, {"image": 3}, "translated")


def _check_enlarger(session: Any) -> None:
    _check_ends(session, {"image": 3}, *ENLARGED)
    _reach(_config(session))


def _check_ends(session: Any, inputs: dict[str, int], *outputs: str) -> None:
    takes = {each.name: (each.type, each.shape[1:2]) for each in session.get_inputs()}
    gives = [(each.name, each.type) for each in session.get_outputs()]
    expected = {name: ("tensor(float)", [channels]) for name, channels in inputs.items()}
    if takes != expected or gives != [(output, "tensor(float)") for output in outputs]:
        raise ValueError(f"it takes {', '.join(takes)} and gives {', '.join(name for name, _ in gives)}")


def _check_weights(session: Any, weights: Path) -> None:
    """Refuse weights that are another model's; an older export does not say which are its own."""
    digest = session.get_modelmeta().custom_metadata_map.get("weights")
    if digest and sha256(weights.read_bytes()).hexdigest() != digest:
        raise ValueError(f"{weights.name} beside it is another model's")


def _config(session: Any) -> dict[str, Any]:
    return json.loads(session.get_modelmeta().custom_metadata_map["config"])


def _prior(session: Any) -> str:
    prior = _config(session)["generator"]["prior"]
    if prior not in (*SWEEPS, PATCHES):
        raise ValueError(f"unknown prior {str(prior)[:40]!r}")
    return prior
