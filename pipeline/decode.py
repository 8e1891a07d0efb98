"""Pictures from bytes that nobody vouches for."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps

from pipeline.errors import UserError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")  # Pillow knows more, but for some of them it starts other programs


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
        raise UserError(f"{where}: unreadable picture ({error}); replace or remove it") from None
