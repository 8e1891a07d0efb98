"""Files that are whole or not there, and locks that no killed process keeps."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.runtime.errors import UserError


@contextmanager
def exclusive_lock(lock: Path, wait: float, taken: str) -> Iterator[None]:
    """Hold a lock, for this process only. The system frees it when the process ends, however it ends.

    Raises:
        UserError: another process has held it for `wait` seconds; `taken` says what that does.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(lock).acquire(timeout=wait)
    except Timeout:
        raise UserError(f"{taken}; wait for it, or end it") from None
    with held:
        yield


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a path to write, which takes the place of `path` once it is on the disk; after an error it is removed."""
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    try:
        yield partial
        sync(partial)
        partial.replace(path)
        sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
