"""PNG's chunks: which say something besides the pixels that may be copied."""

from collections.abc import Iterator

from PIL import Image

from pipeline.runtime.errors import excerpt

TEXT = {b"tEXt", b"zTXt", b"iTXt"}
KEPT = {*TEXT, b"cHRM", b"cICP", b"gAMA", b"sRGB", b"tIME", b"sPLT"}
OF_CHANNELS = {b"sBIT", b"bKGD"}  # true where the channels stay as they are
ELSEWHERE = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"hIST", b"eXIf", b"iCCP", b"pHYs", b"iDOT"}
UNITS = {b"\0", b"\1"}  # of pHYs: none, metre (PNG, 11.3.4.3)


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of each chunk; of pixels, no data."""
    place = 8
    while place + 12 <= len(content):
        length, kind = int.from_bytes(content[place : place + 4]), content[place + 4 : place + 8]
        yield kind, b"" if kind == b"IDAT" else content[place + 8 : place + 8 + length]
        if kind == b"IEND":
            return
        place += length + 12


def is_png_only(kind: bytes, data: bytes, kept: set[bytes]) -> bool:
    """Whether it is a chunk that can be written, and that `Metadata` has in no other place."""
    elsewhere = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0", b"Raw profile type APP1\0")
    return (kind in kept or _is_private_and_safe(kind)) and not (kind in TEXT and data.startswith(elsewhere))


def _is_private_and_safe(kind: bytes) -> bool:
    """Whether a program that does not know a private chunk may copy it (PNG, 5.4: bit 5 of each byte of the type)."""
    return kind.isalpha() and kind[1:2].islower() and kind[3:4].islower()


def has_same_channels(image: Image.Image, content: bytes) -> bool:
    """Whether a PNG comes out with the channels it has: no palette, no bits or transparent colour that become more."""
    return image.mode in {"L", "LA", "RGB", "RGBA", "I;16"} and content[24] >= 8 and "transparency" not in image.info


def gone(chunks: tuple[tuple[bytes, bytes], ...], kept: set[bytes]) -> Iterator[str]:
    """Names of those that are not copied."""
    for kind in dict.fromkeys(kind for kind, _ in chunks):
        if kind.isalpha() and kind not in ELSEWHERE | kept and not _is_private_and_safe(kind):
            yield kind.decode()
    if any(kind == b"pHYs" and data[8:] not in UNITS for kind, data in chunks):
        yield "damaged resolution"


def names(chunks: tuple[tuple[bytes, bytes], ...], has_profile: bool) -> Iterator[str]:
    """Of those that change what is seen, and of texts.

    sRGB is what viewers assume; with it, or a profile, they do not look at gAMA and cHRM.
    """
    kinds = dict.fromkeys(kind for kind, _ in chunks)
    idle = {b"sRGB"} | ({b"gAMA", b"cHRM"} if has_profile or b"sRGB" in kinds else set())
    yield from (kind.decode() for kind in kinds if kind not in idle | TEXT)
    texts = dict.fromkeys(data.split(b"\0")[0].decode("latin-1") for kind, data in chunks if kind in TEXT)
    if texts:
        yield f"text ({excerpt(', '.join(texts))[1:-1]})"
