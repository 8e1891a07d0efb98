"""TIFF: what Pillow would show otherwise than a viewer, and is refused."""

import io
from collections.abc import Iterator
from itertools import islice

import numpy as np
from PIL import Image, TiffImagePlugin

from pipeline.runtime.errors import UserError

MAX_SAMPLE_VALUE = 281  # TIFF 6.0, section 8
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
PHOTOMETRIC = {WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB}
"""TIFF's PhotometricInterpretation (TIFF 6.0, 1992, page 37), those that are read here."""


def tag_bytes(image: TiffImagePlugin.TiffImageFile, number: int) -> bytes:
    """A tag as it lies in the file; none where it has none.

    Pillow takes the type that it is written in at its word: of IPTC as numbers of 32 bits it leaves the first.
    """
    return image.tag_v2._tagdata.get(number, b"")


def refuse_unfit(content: bytes, where: str) -> None:
    """Refuse a TIFF of several pages, and one that Pillow would read as other brightnesses or colours."""
    if not content.startswith(tuple(TiffImagePlugin.PREFIXES)):
        return
    if content.startswith(b"MM\0\x2b"):
        raise UserError(f"{where}: a big-endian BigTIFF, which Pillow cannot read; save it as an ordinary TIFF")
    pages = list(islice(_pages(content), 65))
    if not pages:
        raise UserError(f"{where}: a TIFF without a picture in it; replace or remove it")
    first, *others = pages
    if _is_reduced(first):
        raise UserError(f"{where}: a preview comes first, as in a camera's raw file; develop it and give the picture")
    if len(others) == 64 or not all(map(_is_reduced, others)):  # a pyramid has a level for each halving
        raise UserError(f"{where}: several pictures in one file; give a file for each")
    if wrong := _unfit(first):
        raise UserError(f"{where}: a TIFF with {wrong}; save it with 8 bits a channel, or grey with 16, without sign")


def _pages(content: bytes) -> Iterator[TiffImagePlugin.ImageFileDirectory_v2]:
    file, seen = io.BytesIO(content), set()
    header = content[: 16 if content[2] == 43 else 8]
    place = TiffImagePlugin.ImageFileDirectory_v2(header).next
    while place and place not in seen:
        seen.add(place)
        directory = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(place)
        directory.load(file)
        yield directory
        place = directory.next


def _is_reduced(page: TiffImagePlugin.ImageFileDirectory_v2) -> bool:
    """Whether it is a smaller version or the mask of another page (TIFF 6.0, NewSubfileType and SubfileType)."""
    return bool(page.get(254, 0) & 0b101) or page.get(255) == 2


def _unfit(page: TiffImagePlugin.ImageFileDirectory_v2) -> str | None:
    """What Pillow would get wrong, or has no name for when it refuses it; None where nothing is."""
    depths = page.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    kinds = page.get(TiffImagePlugin.SAMPLEFORMAT, (1,))
    photometric = page.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, WHITE_IS_ZERO)
    compression = page.get(TiffImagePlugin.COMPRESSION, 1)
    planar = page.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == 2 and len(depths) > 1
    extra = page.get(TiffImagePlugin.EXTRASAMPLES)
    grey_and_more = photometric in {WHITE_IS_ZERO, BLACK_IS_ZERO} and extra
    largest = int(np.min(page.get(MAX_SAMPLE_VALUE, 2 ** depths[0] - 1)))
    names = {2: "signed integers", 3: "floating-point numbers"}
    faults = {
        names.get(max(kinds), "samples of an unknown kind"): set(kinds) != {1},
        f"{'/'.join(map(str, depths))} bits a channel": len(set(depths)) > 1 or depths[0] not in {1, 2, 4, 8, 16},
        f"16 bits a channel of which it uses values up to {largest} alone": depths[0] == 16 and largest < 2**15,
        f"compression {compression}, which Pillow does not know": compression not in TiffImagePlugin.COMPRESSION_INFO,
        f"PhotometricInterpretation {photometric}, which Pillow does not know": photometric not in PHOTOMETRIC,
        "YCbCr that is not compressed or lies in planes": photometric == YCBCR and (compression == 1 or planar),
        "inks other than CMYK": photometric == CMYK and page.get(332, 1) != 1,
        "16 bits a channel in planes": planar and depths[0] == 16,
        "channels beside grey that are not 8 bits of alpha": grey_and_more
        and (photometric, depths, extra) != (BLACK_IS_ZERO, (8, 8), (2,)),
    }
    return next((name for name, true in faults.items() if true), None)


def white_is_zero(image: Image.Image) -> bool:
    """Whether its grey is stored the other way round."""
    tags = getattr(image, "tag_v2", {})
    return tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 1) == WHITE_IS_ZERO
