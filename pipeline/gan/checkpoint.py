"""Checkpoints: all that a training needs to go on as if it had never stopped, each in one safetensors file.

What is not a tensor is JSON, in a tensor of its bytes: the header of the format ends at 100 MB, and curves grow.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline.errors import UserError

FORMAT = "mendline checkpoint 1"
KEPT = 3
WAIT = 30.0  # seconds: a training whose DVC was killed has ended by then


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder of a training's checkpoints, for this process only; it is made where there is none.

    Raises:
        UserError: another process holds it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(f"{folder}.lock").acquire(timeout=WAIT)
    except Timeout:
        raise UserError(f"{folder}: another training with the same parameters runs; wait for it, or end it") from None
    with lock:
        folder.mkdir(exist_ok=True)
        yield


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a path to write, which takes the place of `path` once it is on the disk; after an error it is removed."""
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def save(folder: Path, step: int, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Write the checkpoint of a step and remove the oldest above `KEPT`.

    Where it cannot be written, for want of space for instance, a warning says so and the ones before are kept.
    """
    path = folder / f"step-{step:08}.safetensors"
    content = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    content["numbers"] = torch.frombuffer(bytearray(json.dumps(numbers), "ascii"), dtype=torch.uint8)
    try:
        with whole(path) as partial:
            save_file(content, partial, {"format": FORMAT, "training": folder.name})
    except (OSError, SafetensorError) as error:
        print(f"warning: no checkpoint at step {step}: {error}; the training goes on", file=sys.stderr)
        return
    for old in kept(folder)[KEPT:]:
        old.unlink()


def kept(folder: Path) -> list[Path]:
    """The checkpoints, the last step first."""
    return sorted(folder.glob("step-????????.safetensors"), reverse=True)


def discard(folder: Path) -> None:
    """Delete the folder; the checkpoints first, so that none is left without what lies beside it."""
    for path in kept(folder):
        path.unlink()
    shutil.rmtree(folder)


def newest(folder: Path, steps: int) -> tuple[Path, dict[str, Tensor], dict[str, Any]] | None:
    """The path, tensors (on the CPU) and numbers of the last checkpoint that is whole, at step `steps` or before.

    One that is damaged, or that another version or training has written, is named in a warning and passed over.
    """
    for path in kept(folder):
        if int(path.stem.removeprefix("step-")) > steps:
            continue
        try:
            return path, *_read(path, folder.name)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            print(f"warning: {path} is passed over: {error}", file=sys.stderr)
    return None


def _read(path: Path, training: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, "pt") as file:
        header = file.metadata() or {}
        for key, expected in {"format": FORMAT, "training": training}.items():
            if header.get(key) != expected:
                raise ValueError(f"its {key} is {header.get(key)!r}; expected {expected!r}")
        names = file.keys()
        tensors = {name: file.get_tensor(name).clone() for name in names}
    return tensors, json.loads(tensors.pop("numbers").numpy().tobytes())
