"""The model on disk: `generator.safetensors`, weights alone, and `config.json`, what they are for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from pipeline.errors import UserError
from pipeline.gan.generator import make
from pipeline.pixels import mask_to_tensor, to_tensor, to_uint8

OUT = Path("data/model")


def save(folder: Path, generator: nn.Module, config: dict[str, Any]) -> None:
    """Write the two files; `config["generator"]` holds the arguments of `Generator`.

    Raises:
        UserError: the weights cannot be written.
    """
    folder.mkdir(parents=True)
    weights = {name: tensor.contiguous().cpu() for name, tensor in generator.state_dict().items()}
    try:
        save_file(weights, folder / "generator.safetensors")
    except SafetensorError as error:  # it hides the OSError of a full disk
        raise UserError(f"{folder}: {error}") from None
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def load(folder: Path, device: torch.device, expected: dict[str, Any] | None = None) -> nn.Module:
    """The generator, ready to restore.

    Raises:
        UserError: a file is missing, the weights are not those of the configured generator, or the generator is not
            configured as `expected`.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
        differ = [key for key, value in (expected or {}).items() if config["generator"].get(key) != value]
        if differ:
            wanted = ", ".join(f"{key}: {config['generator'].get(key)}" for key in differ)
            raise UserError(f"{folder}: its generator differs from train.generator; set there {wanted}")
        generator = make(**config["generator"])
        generator.load_state_dict(load_file(folder / "generator.safetensors"))
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no model ({error.filename} is missing); {_remedy(folder)}") from None
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder}: not a model of this version ({reason}); {_remedy(folder)}") from None
    return generator.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)


def _remedy(folder: Path) -> str:
    made = folder.resolve() == OUT.resolve()
    return "run dvc repro train" if made else "name a folder that dvc repro train or pipeline.keep has written"


@torch.no_grad()
def restore(generator: nn.Module, images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Restore a batch of pictures, uint8 NHWC, where the masks, bool NHW, are true; uint8 NHWC."""
    device = next(generator.parameters()).device
    restored = generator(to_tensor(images).to(device), mask_to_tensor(masks).to(device))
    return np.where(masks[..., None], to_uint8(restored), images)
