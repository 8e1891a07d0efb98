"""How much may lie on this machine's disk of what strangers send to the page, and of its results."""

from pathlib import Path

from pipeline.runtime.errors import UserError

MOST_STORED = 2 * 2**30  # bytes: of all uploads and results together
MOST_FOR_UPLOADS = 3 * MOST_STORED // 4  # of them; the rest is for the results
LEAST = 64 * 2**10  # bytes: what a file counts at least, so that the number of files is bounded too
FULL = "the page is full; try again in ten minutes, when what is there now has been deleted"


def stored_bytes(folder: Path) -> int:
    """What the files of a folder and below it take."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += max(path.stat().st_size, LEAST) if path.is_file() else 0
        except FileNotFoundError:  # deleted meanwhile
            continue
    return total


def refuse_when_full(folder: Path, size: int) -> None:
    """Look whether there is room in the folder for so many bytes more.

    Raises:
        UserError: there is not.
    """
    if stored_bytes(folder) + size > MOST_STORED:
        raise UserError(FULL)
