"""EXIF: what of it is true of another file too, written as it came."""

from typing import Any, Literal

from PIL import ExifTags, Image, TiffImagePlugin

LAYERS = 37724  # of TIFF: Photoshop's
APART = {TiffImagePlugin.XMP, TiffImagePlugin.IPTC_NAA_CHUNK, TiffImagePlugin.PHOTOSHOP_CHUNK, LAYERS}
LAYOUT = {
    *range(254, 267),
    273,
    *range(277, 282),
    284,
    *range(288, 294),
    301,
    317,
    *range(320, 329),
    330,
    *range(332, 348),
    *range(512, 531),
    532,
    559,
    32997,
    34675,
}
"""TIFF tags that say how pixels lie in a file; in another one they would say it of other pixels."""
RESOLUTION = {282, 283, 296}
OF_TIFF = {*RESOLUTION, 531}  # a TIFF's own, of which Pillow tells the resolution and no RGB has YCbCr's positions
SIDES = {256, 257, 33550, 33922, 34264, ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight}
"""Tags that are no longer true of an enlarged picture: width, height, and the scale of a map (GeoTIFF)."""


class Text(str):
    """Text of EXIF as it came: Pillow reads it as Latin-1 and would write question marks beyond ASCII."""

    def encode(self, encoding: str = "latin-1", errors: str = "strict") -> bytes:
        """As Latin-1, whatever Pillow asks for."""
        return super().encode("latin-1", errors)


def of(image: Image.Image) -> Image.Exif:
    """As the file has it, or an error, which `getexif` raises the first time alone."""
    there = image.info.get("exif")
    if not there:
        return image.getexif()
    found = loaded(there)
    if not len(found) and _entries(there.removeprefix(b"Exif\0\0")):
        raise ValueError("no tag can be read")
    return found


def _entries(block: bytes) -> int:
    """How many tags its first directory has, as it says itself (TIFF 6.0, section 2)."""
    order: Literal["little", "big"] = "little" if block.startswith(b"II") else "big"
    place = int.from_bytes(block[4:8], order)
    if place + 2 > len(block):
        raise ValueError("no directory")
    return int.from_bytes(block[place : place + 2], order)


def turned_as_shown(packed: bytes, orientation: int) -> bytes:
    """EXIF that says how the picture is turned, where programs might follow XMP in its place."""
    exif = rewritten(loaded(packed), set())
    exif[ExifTags.Base.Orientation] = orientation
    return block(exif)


def block(exif: Image.Exif) -> bytes:
    """Its bytes; none where it says nothing."""
    return exif.tobytes() if len(exif) else b""


def rewritten(source: Image.Exif, without: set[int]) -> Image.Exif:
    """EXIF without some tags and without the thumbnail, which would show the picture as it was."""
    fresh = Image.Exif()
    groups = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
    for tag, value in source.items():
        if tag not in without and tag not in groups:
            fresh[tag] = _as_it_came(value)
    for group in groups:
        tags = {tag: _as_it_came(value) for tag, value in source.get_ifd(group).items() if tag not in without}
        if ExifTags.IFD.Interop in tags:
            tags[ExifTags.IFD.Interop] = dict(source.get_ifd(ExifTags.IFD.Interop))
        if tags:
            fresh.get_ifd(group).update(tags)
            fresh[group] = 0  # Pillow writes the offset
    return fresh


def _as_it_came(value: Any) -> Any:
    return Text(value) if isinstance(value, str) else value


def loaded(packed: bytes) -> Image.Exif:
    """Of a block of bytes."""
    exif = Image.Exif()
    exif.load(packed)
    return exif
