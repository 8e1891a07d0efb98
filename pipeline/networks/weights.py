"""The model on disk: `generator.safetensors`, weights alone, and `config.json`, what they are for."""

import json
from hashlib import sha256
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors.torch
import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from pipeline import params
from pipeline.images.tensors import mask_to_tensor, to_tensor, to_uint8
from pipeline.networks.detector import Detector, damage_of
from pipeline.networks.enlarger import Enlarger
from pipeline.networks.generator import Generator
from pipeline.networks.registry import GENERATORS, build_generator
from pipeline.networks.translator import Translator
from pipeline.runtime.errors import UserError, excerpt, shorten

OUT = Path("data/model")
LONGEST = 300  # characters of what is wrong with a model
NOT_FINITE = (
    "gives values that are not finite; copy the model again from where it is from, or train it anew, with a smaller "
    "train.lr and train.muon_lr, or train.clip of 1"
)
DTYPES = {torch.float32: "F32", torch.int64: "I64"}  # of the weights, and of a count that batch normalization has
OTHER_PURPOSES = {  # of what restores no holes, by task
    "detect": "finds damage, and restores none; give it to --detect",
    "superres": "enlarges, and restores no holes; give it to --upscale",
    "translate": "changes the look of a picture, and restores no holes; use it as a Translator",
}
DEFAULTS = {  # of a generator, for models that are older than some of its arguments
    name: each.default for name, each in signature(Generator).parameters.items() if each.default is not Parameter.empty
}


def save(folder: Path, generator: nn.Module, config: dict[str, Any]) -> None:
    """Write the two files; `config["generator"]` holds those of `build_generator`. The weights' SHA-256 is added."""
    folder.mkdir(parents=True)
    weights = {name: tensor.contiguous().cpu() for name, tensor in generator.state_dict().items()}
    content = safetensors.torch.save(weights)  # its `save_file` makes a file that its owner alone may read
    (folder / "generator.safetensors").write_bytes(content)
    digest = {"sha256": sha256(content).hexdigest()}
    (folder / "config.json").write_text(json.dumps(config | digest, indent=2) + "\n")


def load(folder: Path, device: torch.device, expected: dict[str, Any] | None = None) -> nn.Module:
    """The generator, ready to restore. Nothing is made of it before its configuration and the weights' header fit.

    Raises:
        UserError: a file is missing or damaged, the weights are not those of the configured generator, or the
            generator is not configured as `expected`.
    """
    weights = folder / "generator.safetensors"
    try:
        for path in (folder / "config.json", weights):
            if not path.is_file():
                raise UserError(f"{folder}: no model ({path.name} is missing); {_remedy(folder)}")
        config = json.loads((folder / "config.json").read_text())
        arguments = DEFAULTS | config["generator"]
        _check_arguments(arguments)
        differ = [key for key, value in (expected or {}).items() if arguments.get(key) != value]
        if differ:
            wanted = ", ".join(f"{key}: {arguments.get(key)}" for key in differ)
            raise UserError(
                f"{folder}: its generator differs from train.generator; set there {wanted}; or train.init to "
                "models/untrained"
            )
        with torch.device("meta"):
            generator = build_generator(**arguments)
        _check_weights(weights, generator, config.get("sha256"))
        generator.load_state_dict(load_file(weights), assign=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = shorten((str(error).splitlines() or [type(error).__name__])[0], LONGEST)
        raise UserError(f"{folder}: not a model of this version ({reason}); {_remedy(folder)}") from None
    return generator.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)


def load_refiner(folder: Path, device: torch.device) -> Generator:
    """`load`, of a design that refines a prior, of pictures of any size.

    Raises:
        UserError: as `load`; or the design has no prior.
    """
    generator = load(folder, device)
    design = json.loads((folder / "config.json").read_text())["generator"]["design"]
    if purpose := OTHER_PURPOSES.get(GENERATORS[design].task):
        raise UserError(f"{folder}: {purpose}")
    if not GENERATORS[design].has_prior:
        raise UserError(
            f"{folder}: the {design} design has no prior to start from; give a model of another, as models/restore is"
        )
    return cast(Generator, generator)


def load_detector(folder: Path, device: torch.device) -> Detector:
    """`load`, of a detector.

    Raises:
        UserError: as `load`; or it is another network.
    """
    network = load(folder, device)
    if not isinstance(network, Detector):
        raise UserError(f"{folder}: finds no damage; give a model of the profile detect")
    return network


def load_enlarger(folder: Path, device: torch.device) -> Enlarger:
    """`load`, of an enlarger.

    Raises:
        UserError: as `load`; or it is another network.
    """
    network = load(folder, device)
    if not isinstance(network, Enlarger):
        raise UserError(f"{folder}: keeps the size of a picture; give a model of the profile superres")
    return network


def load_translator(folder: Path, device: torch.device) -> Translator:
    """`load`, of a translator.

    Raises:
        UserError: as `load`; or it is another network.
    """
    network = load(folder, device)
    if not isinstance(network, Translator):
        raise UserError(f"{folder}: changes no look; give a model of the profile painting")
    return network


def _remedy(folder: Path) -> str:
    made = folder.resolve() == OUT.resolve()
    return "run dvc repro train" if made else "name a folder that dvc repro train or mendline save has written"


class Facts(BaseModel):
    """What the model card takes from `config.json`."""

    image_size: int
    trained_on: dict[str, str]


def facts(folder: Path) -> dict[str, Any]:
    """The `config.json` of a model that `load` has taken.

    Raises:
        UserError: it does not say what the model was trained on.
    """
    config = json.loads((folder / "config.json").read_text())
    try:
        Facts.model_validate(config)
    except ValidationError as error:
        key = error.errors(include_url=False)[0]["loc"][0]
        raise UserError(f"{folder}: not a model of this version (config.json: {key}); {_remedy(folder)}") from None
    return config


def _check_arguments(arguments: dict[str, Any]) -> None:
    """Refuse arguments that have not the types and ranges of `train.generator`, or that it does not have."""
    try:
        params.Generator.model_validate(arguments)
    except ValidationError as error:
        for wrong in error.errors(include_url=False):
            if wrong["type"] != "missing":
                key = ".".join(["generator", *map(str, wrong["loc"])])
                raise ValueError(f"{excerpt(key)} is {excerpt(wrong['input'])}: {wrong['msg']}") from None


def _check_weights(path: Path, generator: nn.Module, digest: str | None) -> None:
    """Refuse weights of other names, shapes or types, that are not finite, or not those that were saved.

    Args:
        path: of the file.
        generator: with parameters that take no memory.
        digest: the SHA-256 of the file; None where an older version saved the model.
    """
    expected = {name: (list(tensor.shape), DTYPES[tensor.dtype]) for name, tensor in generator.state_dict().items()}
    with safe_open(path, "pt") as file:
        names = file.keys()
        header = {name: file.get_slice(name) for name in names}
        found = {name: (tensor.get_shape(), tensor.get_dtype()) for name, tensor in header.items()}
        for name in sorted(expected.keys() | found.keys()):
            if found.get(name) != expected.get(name):
                raise ValueError(f"{excerpt(name)} is {excerpt(found.get(name))}; expected {expected.get(name)}")
        for name in found:
            if not file.get_tensor(name).isfinite().all():
                raise ValueError(f"{name} is not finite")
    if digest is not None and sha256(path.read_bytes()).hexdigest() != digest:
        raise ValueError(f"{path.name} is not the file that was saved with its config.json")


@torch.no_grad()
def restore(generator: nn.Module, images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Restore a batch of pictures, uint8 NHWC, where the masks, bool NHW, are true; uint8 NHWC.

    Raises:
        UserError: the generator gives values that are not finite, as its weights are too large.
    """
    device = next(generator.parameters()).device
    restored = generator(to_tensor(images).to(device), mask_to_tensor(masks).to(device))
    if not restored.isfinite().all():
        raise UserError(f"the generator {NOT_FINITE}")
    return np.where(masks[..., None], to_uint8(restored), images)


@torch.no_grad()
def enlarge(enlarger: nn.Module, small: np.ndarray, factor: int) -> np.ndarray:
    """Enlarge a picture, uint8 HWC, by one of the factors that the enlarger has; uint8 HWC.

    Raises:
        UserError: the enlarger gives values that are not finite, as its weights are too large.
    """
    made = enlarger(to_tensor(small[None]).to(next(enlarger.parameters()).device), factor)
    if not made.isfinite().all():
        raise UserError(f"the enlarger {NOT_FINITE}")
    return to_uint8(made)[0]


@torch.no_grad()
def translate(translator: nn.Module, images: np.ndarray) -> np.ndarray:
    """Translate a batch of pictures, uint8 NHWC; uint8 NHWC.

    Raises:
        UserError: the translator gives values that are not finite, as its weights are too large.
    """
    made = translator(to_tensor(images).to(next(translator.parameters()).device))
    if not made.isfinite().all():
        raise UserError(f"the translator {NOT_FINITE}")
    return to_uint8(made)


@torch.no_grad()
def find_damage(detector: nn.Module, images: np.ndarray) -> np.ndarray:
    """The probability that each pixel of a batch of pictures, uint8 NHWC, is damaged: float32 NHW in [0, 1].

    Raises:
        UserError: the detector gives values that are not finite, as its weights are too large.
    """
    device = next(detector.parameters()).device
    found = damage_of(detector(to_tensor(images).to(device)))
    if not found.isfinite().all():
        raise UserError(f"the detector {NOT_FINITE}")
    return found.squeeze(1).cpu().numpy()
