"""Checkpoints: all that a training needs to go on as if it had never stopped, each in one safetensors file.

What is not a tensor is JSON, in a tensor of its bytes: the header of the format ends at 100 MB, and curves grow.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline import lineage
from pipeline.params import Train
from pipeline.runtime import files
from pipeline.runtime.errors import excerpt, shorten
from pipeline.runtime.outputs import WAIT

FORMAT = "mendline checkpoint 3"
NEWEST = 3  # of a training's checkpoints stay
LONGEST = 300  # characters of what is wrong with a checkpoint
ENDED = "ended"  # the file that says what a training has made, once it has


@contextmanager
def exclusive_folder(folder: Path) -> Iterator[None]:
    """Hold the folder of a training's checkpoints, for this process only; it is made where there is none.

    Raises:
        UserError: another process holds it.
    """
    with files.exclusive_lock(_lock(folder), WAIT, f"{folder}: another training with the same parameters runs"):
        folder.mkdir(exist_ok=True)
        yield


def training_folder(params: Train, environment: dict[str, str]) -> Path:
    """The folder of the one training that has these parameters, the stage's code and data, and this environment.

    It is the same for experiments in a temporary checkout. How often checkpoints are saved does not change what they
    hold; under a constant schedule, neither does the length of the training.
    """
    free = {"checkpoint_every"} | ({"steps"} if params.schedule == "constant" else set())
    return _root() / lineage.fingerprint("train", params.model_dump(exclude=free) | environment)


def _root() -> Path:
    return lineage.root() / ".cache/checkpoints"


def _lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def save(folder: Path, step: int, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Write the checkpoint of a step and remove all but the `NEWEST`.

    Where it cannot be written, for want of space for instance, a warning says so and the ones before stay.
    """
    path = folder / f"step-{step:08}.safetensors"
    content = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    content["numbers"] = torch.frombuffer(bytearray(json.dumps(numbers), "ascii"), dtype=torch.uint8)
    try:
        with files.atomic_write(path) as partial:
            save_file(content, partial, _facts(path) | {"sha256": _checksum(content)})
    except (OSError, SafetensorError) as error:
        print(f"warning: no checkpoint at step {step}: {error}; the training goes on", file=sys.stderr)
        return
    for old in list_checkpoints(folder)[NEWEST:]:
        old.unlink()


def _facts(path: Path) -> dict[str, str]:
    return {"format": FORMAT, "training": path.parent.name, "step": path.stem.removeprefix("step-")}


def _checksum(tensors: dict[str, Tensor]) -> str:
    digest = sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints, the last step first."""
    return sorted((path for path in folder.glob(f"step-{'[0-9]' * 8}.safetensors") if path.is_file()), reverse=True)


def mark_ended(folder: Path, made: str) -> None:
    """Delete all checkpoints but the last, which stays until `discard_ended` hears that what was `made` is recorded."""
    for old in list_checkpoints(folder)[1:]:
        old.unlink()
    with files.atomic_write(folder / ENDED) as partial:
        partial.write_text(made)


def discard_ended(recorded: str) -> None:
    """Delete what is left of the trainings that have made what is `recorded`, unless they run."""
    for note in _root().glob(f"*/{ENDED}"):
        try:
            with FileLock(_lock(note.parent)).acquire(timeout=0):
                if note.read_bytes() == recorded.encode():
                    shutil.rmtree(note.parent)
        except (Timeout, OSError):  # it runs, or another process has deleted it
            continue


def read_newest(
    folder: Path, steps: int, check: Callable[[dict[str, Tensor], dict[str, Any]], None] = lambda *_: None
) -> tuple[Path, dict[str, Tensor], dict[str, Any]] | None:
    """The path, tensors (on the CPU) and numbers of the last good checkpoint, at step `steps` or before.

    One that is damaged, that another version or training has written, or that `check` refuses with a `ValueError` or a
    `RuntimeError`, is named in a warning and passed over.
    """
    for path in list_checkpoints(folder):
        if int(_facts(path)["step"]) > steps:
            continue
        try:
            tensors, numbers = _read(path)
            check(tensors, numbers)
            return path, tensors, numbers
        except (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
            print(f"warning: {path} is passed over: {shorten(str(error), LONGEST)}", file=sys.stderr)
    return None


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, "pt") as file:
        header = file.metadata() or {}
        names = file.keys()
        tensors = {name: file.get_tensor(name).clone() for name in names}
    for key, expected in (_facts(path) | {"sha256": _checksum(tensors)}).items():
        if header.get(key) != expected:
            raise ValueError(f"its {key} is {excerpt(header.get(key))}; expected {expected!r}")
    numbers = json.loads(tensors.pop("numbers").numpy().tobytes())
    if not isinstance(numbers, dict) or numbers.get("step") != int(header["step"]):
        raise ValueError("its numbers are not those of its step")
    return tensors, numbers
