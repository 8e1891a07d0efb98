"""Pictures from files that nobody vouches for."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.errors import UserError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")  # Pillow knows more, but for some of them it starts other programs

SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}


def below(folder: Path) -> list[Path]:
    """All pictures in a folder and below it, by their suffix, hidden ones aside; relative to it, by name.

    Raises:
        UserError: there is none.
    """
    found = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not _hidden(path.relative_to(folder))
    )
    if not found:
        raise UserError(f"{folder}: no pictures in it or below it; expected {', '.join(sorted(SUFFIXES))}")
    return [Path(name) for name in found]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def decode(content: bytes, where: str) -> np.ndarray:
    """A JPEG, PNG, WebP, BMP or TIFF, turned upright by its EXIF tag, as uint8 RGB HWC; of 16 bits the upper eight.

    Raises:
        UserError: not a picture, a truncated one, or one of more pixels than Pillow's bomb limit (179 million).
    """
    with readable(where), Image.open(io.BytesIO(content), formats=FORMATS) as image:
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I"):  # Pillow would clip these at 255
            grey = (np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)
            return np.stack([grey] * 3, axis=-1)
        return np.array(image.convert("RGB"))


def sides(content: bytes, where: str) -> tuple[int, int]:
    """Width and height of a picture as its header has them, in px.

    Raises:
        UserError: as `decode` does, but what follows the header is not looked at.
    """
    with readable(where), Image.open(io.BytesIO(content), formats=FORMATS) as image:
        return image.size


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Turn what Pillow raises on a bad picture into a `UserError`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Pillow's plugins raise of all kinds on damaged files
        unknown = isinstance(error, UnidentifiedImageError)  # its text is the address of an object
        reason = f"none of {', '.join(FORMATS)}" if unknown else error
        raise UserError(f"{where}: unreadable picture ({reason}); replace or remove it") from None
