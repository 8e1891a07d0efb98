"""The formats that are read, by suffix, and the pictures below a folder."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from pipeline.runtime.errors import UserError

SUFFIXES = {  # Pillow knows more formats, but for some of them it starts other programs
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
}
NEEDS: dict[str, str] = {}  # formats that cannot be read with what is installed


def list_pictures(folder: Path) -> list[Path]:
    """All pictures in a folder and below it that can be read here, by their suffix, hidden ones aside.

    Returns:
        Paths relative to the folder, by name.

    Raises:
        UserError: there is none.
    """
    found = [path for path in _files(folder) if is_picture(path)]
    if not found:
        others = describe_skipped(folder)
        raise UserError(
            f"{folder}: no pictures in it or below it{f' ({others})' if others else ''}; "
            f"expected {', '.join(suffix for suffix in sorted(SUFFIXES) if SUFFIXES[suffix] not in NEEDS)}"
        )
    return found


def describe_skipped(folder: Path, used: Collection[Path] = ()) -> str | None:
    """The files that `list_pictures` leaves out, by suffix and with what they need, in a line; None for none.

    Args:
        folder: of the pictures.
        used: files in it that are of use all the same, relative to it.
    """
    left_out = (path for path in _files(folder) if not is_picture(path) and path not in used)
    others = Counter(path.suffix.lower() for path in left_out)
    if not others:
        return None
    named = []
    for suffix, count in sorted(others.items()):
        needs = NEEDS.get(SUFFIXES.get(suffix, ""))
        named.append(f"{count} {suffix or 'without a suffix'}" + (f", which {needs}" if needs else ""))
    return f"passed over: {'; '.join(named)}"


def is_picture(path: Path) -> bool:
    """Whether the suffix is of a format that can be read here."""
    kind = SUFFIXES.get(path.suffix.lower())
    return kind is not None and kind not in NEEDS


def _files(folder: Path) -> list[Path]:
    """Files that are not hidden, relative to the folder, by name."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted((path for path in found if not _hidden(path)), key=Path.as_posix)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
