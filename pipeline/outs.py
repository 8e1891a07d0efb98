"""A stage's outs appear whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import UserError

PARTIAL = Path(".cache/partial")


@contextmanager
def complete(*outs: str) -> Iterator[list[Path]]:
    """Yield one path to write for each of `outs`, and move them all into place once the block has ended well.

    The paths lie in `.cache/partial`, on the same file system as the outs, which git and DVC ignore. Their parent
    folders exist, they themselves do not. When the block raises, the outs are left untouched.

    Raises:
        UserError: a write failed, for want of space for instance; it names the outs.
    """
    folder = PARTIAL / outs[0].replace("/", "-")
    shutil.rmtree(folder, ignore_errors=True)
    paths = [folder / out for out in outs]
    for path, out in zip(paths, map(Path, outs), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        there = next(parent for parent in out.parents if parent.exists())
        if path.parent.stat().st_dev != there.stat().st_dev:
            raise UserError(f"{PARTIAL.parent} and {out} are on two disks; keep them on one (see MENDLINE_CACHE)")
    try:
        yield paths
        for path, out in zip(paths, map(Path, outs), strict=True):
            if out.is_dir():
                shutil.rmtree(out)
            out.parent.mkdir(parents=True, exist_ok=True)
            path.replace(out)
    except OSError as error:
        if error.filename:
            raise
        raise UserError(f"{', '.join(outs)}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
