"""A stage's outs appear whole or not at all, and no two processes write the same."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.runtime import files
from pipeline.runtime.errors import UserError, explain_os_error

CACHE = Path(".cache")
PARTIAL = CACHE / "partial"
WAIT = 30.0  # seconds: what was started before us and told to stop has ended by then


@contextmanager
def complete_outs(*outs: str) -> Iterator[list[Path]]:
    """Yield one path to write for each of `outs`, and move them all into place once the block has ended well.

    The paths lie in `.cache/partial`, on the same file system as the outs, which git and DVC ignore. Their parent
    folders exist, they themselves do not. When the block raises, the outs are left untouched.

    Raises:
        UserError: another process writes them; or a write failed, for want of space for instance; it names the outs.
    """
    name = outs[0].replace("/", "-")
    with files.exclusive_lock(CACHE / f"{name}.lock", WAIT, f"{outs[0]}: another process writes it"):
        folder = PARTIAL / name
        shutil.rmtree(folder, ignore_errors=True)
        try:
            paths = _paths(folder, outs)
            yield paths
            for path, out in zip(paths, map(Path, outs), strict=True):
                _replace(path, out)
        except OSError as error:
            if error.filename:
                raise
            raise UserError(explain_os_error(error, ", ".join(outs))) from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _paths(folder: Path, outs: tuple[str, ...]) -> list[Path]:
    paths = [folder / out for out in outs]
    for path, out in zip(paths, map(Path, outs), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        there = next(parent for parent in out.parents if parent.exists())
        if path.parent.stat().st_dev != there.stat().st_dev:
            raise UserError(f"{CACHE} and {out} are on two disks; keep them on one (see MENDLINE_CACHE)")
    return paths


def _replace(path: Path, out: Path) -> None:
    if out.is_dir():
        shutil.rmtree(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    path.replace(out)
