"""TIFF files that Pillow does not write: any numbers, either byte order, BigTIFF, any tag."""

import struct

import numpy as np

FORMATS = {3: "H", 4: "I", 16: "Q"}  # of the types SHORT, LONG and LONG8
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 11: 4}  # bytes: of BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED and FLOAT


def tiff(
    pixels: np.ndarray,
    photometric: int = 1,
    order: str = "<",
    big: bool = False,
    pages: int = 1,
    raw: dict[int, tuple[int, bytes]] | None = None,
    **tags,
) -> bytes:
    """HW or HWC of any kind of number, uncompressed in one strip.

    `tags` such as `t338=(2,)` are written as SHORT, `raw` such as `{700: (1, b"<x/>")}` as bytes of the type given.
    """
    stored = pixels.astype(pixels.dtype.newbyteorder(order))
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    entries = {
        256: (3, (pixels.shape[1],)),
        257: (3, (pixels.shape[0],)),
        258: (3, (8 * pixels.itemsize,) * channels),
        259: (3, (1,)),
        262: (3, (photometric,)),
        273: (16 if big else 4, (16 if big else 8,)),
        277: (3, (channels,)),
        278: (3, (pixels.shape[0],)),
        279: (4, (pixels.nbytes,)),
        339: (3, ({"u": 1, "i": 2, "f": 3}[pixels.dtype.kind],) * channels),
    } | {int(name[1:]): (3, values) for name, values in tags.items()}
    entries |= raw or {}
    long, width = ("Q", 8) if big else ("I", 4)
    begin = b"II" if order == "<" else b"MM"
    header = struct.pack(f"{order}HHH", 43, 8, 0) if big else struct.pack(f"{order}H", 42)
    first = (16 if big else 8) + pixels.nbytes
    content = begin + header + struct.pack(order + long, first) + stored.tobytes()
    for page in range(pages):
        content += _directory(entries, len(content), order, long, width, page == pages - 1)
    return content


def _directory(entries: dict, start: int, order: str, long: str, width: int, last: bool) -> bytes:
    count = struct.pack(order + ("Q" if width == 8 else "H"), len(entries))
    place = start + len(count) + len(entries) * (4 + 2 * width) + width
    lines, beyond = b"", b""
    for tag, (kind, values) in sorted(entries.items()):
        is_raw = isinstance(values, bytes)
        data = values if is_raw else struct.pack(f"{order}{len(values)}{FORMATS[kind]}", *values)
        count_of_values = len(values) // SIZES[kind] if is_raw else len(values)
        if len(data) > width:
            value, beyond = struct.pack(order + long, place + len(beyond)), beyond + data
        else:
            value = data.ljust(width, b"\0")
        lines += struct.pack(f"{order}HH{long}", tag, kind, count_of_values) + value
    following = 0 if last else place + len(beyond)
    return count + lines + struct.pack(order + long, following) + beyond
