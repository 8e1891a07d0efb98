"""What a picture file says besides its pixels, and what of it each format can hold."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from PIL import ExifTags, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from pipeline.decode import orientation

IPTC = 0x0404  # of Photoshop's image resources
THUMBNAILS = {0x0409, 0x040C}  # of Photoshop's image resources: they would show the picture as it was
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
PNG_TEXT = {b"tEXt", b"zTXt", b"iTXt"}
PNG_KEPT = {*PNG_TEXT, b"cHRM", b"cICP", b"gAMA", b"sRGB", b"tIME", b"sPLT"}
PNG_OF_CHANNELS = {b"sBIT", b"bKGD"}  # true where the channels stay as they are
PNG_ELSEWHERE = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"hIST", b"eXIf", b"iCCP", b"pHYs", b"iDOT"}
FURTHER = "further pictures (preview, depth or gain map)"
LONGEST = 65533  # bytes in a segment of a JPEG
XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
IPTC_IN_JPEG = b"Photoshop 3.0\0"

HELD = {  # of the fields of `Metadata`, those that a format has a place for
    "JPEG": {"exif", "xmp", "icc_profile", "dpi", "photoshop", "comments"},
    "PNG": {"exif", "xmp", "icc_profile", "dpi", "comments", "chunks", "transparent"},
    "WEBP": {"exif", "xmp", "icc_profile"},
    "BMP": {"dpi"},
    "TIFF": {"exif", "xmp", "icc_profile", "dpi", "photoshop"},
}
TITLES = {
    "exif": "EXIF",
    "xmp": "XMP",
    "icc_profile": "the ICC profile",
    "dpi": "the resolution",
    "photoshop": "IPTC",
    "comments": "comments",
    "transparent": "the transparent grey",
}
SPACES = {b"GRAY": "grey", b"RGB ": "RGB", b"CMYK": "CMYK"}  # of ICC profiles (ICC.1:2022, table 19)


Value = TypeVar("Value")


class Text(str):
    """Text of EXIF as it came: Pillow reads it as Latin-1 and would write question marks beyond ASCII."""

    def encode(self, encoding: str = "latin-1", errors: str = "strict") -> bytes:
        """As Latin-1, whatever Pillow asks for."""
        return super().encode("latin-1", errors)


@dataclass(frozen=True)
class Metadata:
    """What a file says besides its pixels.

    `exif` is an EXIF block without thumbnail, `photoshop` Photoshop's image resources, IPTC among them, `dpi` the
    resolution in px per inch, `chunks` those that only PNG has, `transparent` the one of 65,536 greys that cannot be
    seen, `gone` names what no format would keep.
    """

    exif: bytes = b""
    xmp: bytes = b""
    icc_profile: bytes = b""
    dpi: tuple[float, float] | None = None
    photoshop: bytes = b""
    comments: tuple[bytes, ...] = ()
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    transparent: int | None = None
    gone: tuple[str, ...] = ()


def of(image: Image.Image, content: bytes) -> Metadata:
    """What an opened picture and its file say; what is damaged counts as `gone`."""
    gone: list[str] = []

    def whole(name: str, get: Callable[[], Value], otherwise: Value) -> Value:
        try:
            return get()
        except Exception:  # Pillow raises of all kinds on damaged metadata, which is no reason to refuse the picture
            gone.append(f"damaged {name}")
            return otherwise

    without = LAYOUT | APART | (OF_TIFF if isinstance(image, TiffImagePlugin.TiffImageFile) else set())
    exif = whole("EXIF", lambda: _block(rewritten(_exif(image), without)), b"")
    photoshop = whole("IPTC", lambda: _packed(_resources(_photoshop(image))), b"")
    xmp = whole("XMP", lambda: _bytes(image.info.get("xmp")), b"")
    icc_profile = image.info.get("icc_profile") or b""
    if icc_profile and icc_profile[36:40] != b"acsp":  # the signature of a profile (ICC.1:2022, 7.2.11)
        gone.append("damaged ICC profile")
        icc_profile = b""
    chunks = tuple(_png_chunks(content)) if image.format == "PNG" else ()
    kept = PNG_KEPT | (PNG_OF_CHANNELS if _has_same_channels(image, content) else set())
    return Metadata(
        exif=_turned_as_shown(exif, orientation(image)) if b"tiff:Orientation" in xmp else exif,
        xmp=xmp,
        icc_profile=icc_profile,
        dpi=whole("resolution", lambda: _dpi(image), None),
        photoshop=photoshop,
        comments=_comments(image),
        chunks=tuple((kind, data) for kind, data in chunks if _is_png_only(kind, data, kept)),
        transparent=image.info.get("transparency") if image.mode == "I;16" else None,
        gone=(*gone, *_gone(image), *_png_gone(chunks, kept)),
    )


def _exif(image: Image.Image) -> Image.Exif:
    """As the file has it, or an error, which `getexif` raises the first time alone."""
    block = image.info.get("exif")
    return _loaded(block) if block else image.getexif()


def _turned_as_shown(block: bytes, orientation: int) -> bytes:
    """EXIF that says how the picture is turned, where programs might follow XMP in its place."""
    exif = rewritten(_loaded(block), set())
    exif[ExifTags.Base.Orientation] = orientation
    return _block(exif)


def _block(exif: Image.Exif) -> bytes:
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


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return bytes(value or b"")


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    """The resolution, where the file has one that can be written; where it has none, Pillow says 1 or 72."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        said = bool(RESOLUTION & set(image.tag_v2))
    elif isinstance(image, JpegImagePlugin.JpegImageFile):
        said = image.info.get("jfif_unit") in {1, 2} or ExifTags.Base.XResolution in image.getexif()
    else:
        said = True
    across, down = map(float, image.info.get("dpi", (0, 0)))
    return (across, down) if said and min(across, down) >= 1 and max(across, down) <= 65535 else None


def _comments(image: Image.Image) -> tuple[bytes, ...]:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return tuple(data for name, data in image.applist if name == "COM")
    comment = image.info.get("comment") if image.format == "GIF" else None
    return (comment,) if comment else ()


def _photoshop(image: Image.Image) -> bytes:
    """Photoshop's image resources; a TIFF that has IPTC alone gets one of it."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return b"".join(data.removeprefix(IPTC_IN_JPEG) for _, data in image.applist if data.startswith(IPTC_IN_JPEG))
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return b""
    resources = _bytes(image.tag_v2.get(TiffImagePlugin.PHOTOSHOP_CHUNK))
    iptc = image.tag_v2.get(TiffImagePlugin.IPTC_NAA_CHUNK)
    if isinstance(iptc, tuple):  # written as numbers of 32 bits by many programs
        iptc = struct.pack(f"{'<' if image.tag_v2.prefix == TiffImagePlugin.II else '>'}{len(iptc)}L", *iptc)
    if iptc and IPTC not in _resources(resources):
        resources += _packed({IPTC: (b"\0\0", _bytes(iptc))})
    return resources


def _resources(packed: bytes) -> dict[int, tuple[bytes, bytes]]:
    """Name and data by number, without thumbnails (Adobe Photoshop File Formats Specification, Image Resources).

    Raises:
        ValueError: they are damaged.
    """
    found, place = {}, 0
    while packed[place : place + 4] == b"8BIM" and place + 12 <= len(packed):
        number = int.from_bytes(packed[place + 4 : place + 6])
        after_name = place + 6 + (packed[place + 6] + 2) // 2 * 2
        size = int.from_bytes(packed[after_name : after_name + 4])
        data = packed[after_name + 4 : after_name + 4 + size]
        if len(data) < size:
            raise ValueError("a cut image resource")
        if number not in THUMBNAILS:
            found[number] = packed[place + 6 : after_name], data
        place = after_name + 4 + (size + 1) // 2 * 2
    if packed[place:].strip(b"\0"):
        raise ValueError("no image resource")
    return found


def _packed(resources: dict[int, tuple[bytes, bytes]]) -> bytes:
    return b"".join(
        b"8BIM" + number.to_bytes(2) + name + len(data).to_bytes(4) + data + b"\0" * (len(data) % 2)
        for number, (name, data) in resources.items()
    )


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of each chunk; of pixels, no data."""
    place = 8
    while place + 12 <= len(content):
        length, kind = int.from_bytes(content[place : place + 4]), content[place + 4 : place + 8]
        yield kind, b"" if kind == b"IDAT" else content[place + 8 : place + 8 + length]
        place += length + 12


def _is_png_only(kind: bytes, data: bytes, kept: set[bytes]) -> bool:
    """Whether it is a chunk that can be written, and that `Metadata` has in no other place."""
    elsewhere = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0", b"Raw profile type APP1\0")
    return (kind in kept or _is_private_and_safe(kind)) and not (kind in PNG_TEXT and data.startswith(elsewhere))


def _is_private_and_safe(kind: bytes) -> bool:
    """Whether a program that does not know a private chunk may copy it (PNG, 5.4: bit 5 of each byte of the type)."""
    return kind.isalpha() and kind[1:2].islower() and kind[3:4].islower()


def _has_same_channels(image: Image.Image, content: bytes) -> bool:
    """Whether a PNG comes out with the channels it has: no palette, no bits or transparent colour that become more."""
    return image.mode in {"L", "LA", "RGB", "RGBA", "I;16"} and content[24] >= 8 and "transparency" not in image.info


def _png_gone(chunks: tuple[tuple[bytes, bytes], ...], kept: set[bytes]) -> Iterator[str]:
    for kind in dict.fromkeys(kind for kind, _ in chunks):
        if kind.isalpha() and kind not in PNG_ELSEWHERE | kept and not _is_private_and_safe(kind):
            yield kind.decode()


def _gone(image: Image.Image) -> Iterator[str]:
    """What no format would keep, by name."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        yield from dict.fromkeys(filter(None, (_jpeg_gone(name, data) for name, data in image.applist)))
    if image.info.get("depth_images") or image.info.get("aux"):  # as pillow-heif tells them
        yield FURTHER
    across, down = image.info.get("aspect", (1, 1))
    if across != down:
        yield "shape of a pixel"
    extension = image.info.get("extension", (b"",))[0]
    if image.format == "GIF" and extension and not extension.startswith((b"NETSCAPE", b"ANIMEXTS")):
        yield f"extension {extension.decode('latin-1')}"
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        yield from _tiff_gone(image)


def _jpeg_gone(name: str, data: bytes) -> str | None:
    held = (b"Exif\0", XMP_IN_JPEG, b"ICC_PROFILE\0", IPTC_IN_JPEG)
    encoding = (b"JFIF", b"JFXX", b"Adobe", b"Ducky")
    if name == "COM" or data.startswith(held + encoding):
        return None
    if data.startswith(b"http://ns.adobe.com/xmp/extension/"):
        return "extended XMP"
    return FURTHER if data.startswith(b"MPF\0") else f"segment {name}"


def _tiff_gone(image: TiffImagePlugin.TiffImageFile) -> Iterator[str]:
    extra = image.tag_v2.get(TiffImagePlugin.EXTRASAMPLES, ())
    if 0 in extra:
        yield "channels beside the colours"
    if 1 in extra:
        yield "alpha that is multiplied into the colours (it becomes straight)"
    if image.mode == "LAB":
        yield "Lab colours (they become RGB)"
    if LAYERS in image.tag_v2:
        yield "Photoshop's layers"


def enlarged(metadata: Metadata) -> Metadata:
    """Without what is no longer true of an enlarged picture."""
    if not metadata.exif:
        return metadata
    return replace(metadata, exif=_block(rewritten(_loaded(metadata.exif), SIDES)))


def _loaded(block: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(block)
    return exif


def held(metadata: Metadata, kind: str, space: str) -> Metadata:
    """What of it a file can hold.

    Args:
        metadata: what is to be kept.
        kind: Pillow's name of the format.
        space: grey, RGB or CMYK: the colours of the file.
    """
    fitting = {name: getattr(metadata, name) for name in HELD[kind]}
    if metadata.icc_profile and _space(metadata.icc_profile) != space:
        fitting["icc_profile"] = b""
    if kind == "JPEG":
        fitting |= {name: b"" for name in ("exif", "xmp") if len(fitting[name]) + len(XMP_IN_JPEG) > LONGEST}
    return Metadata(**fitting)


def lost(metadata: Metadata, kind: str, space: str) -> list[str]:
    """The names of what a file cannot hold; arguments as of `held`."""
    kept = held(metadata, kind, space)
    names = [title for name, title in TITLES.items() if getattr(metadata, name) != getattr(kept, name)]
    if kind == "WEBP" and ExifTags.Base.XResolution in _loaded(metadata.exif):
        names.remove(TITLES["dpi"])
    return [*metadata.gone, *names, *(_chunk_names(metadata) if metadata.chunks != kept.chunks else ())]


def _space(profile: bytes) -> str:
    return SPACES.get(profile[16:20], "other")


def _chunk_names(metadata: Metadata) -> Iterator[str]:
    """Names of PNG's chunks. sRGB is what viewers assume; with it, or a profile, they do not look at gAMA and cHRM."""
    kinds = dict.fromkeys(kind for kind, _ in metadata.chunks)
    idle = {b"sRGB"} | ({b"gAMA", b"cHRM"} if metadata.icc_profile or b"sRGB" in kinds else set())
    yield from (kind.decode() for kind in kinds if kind not in idle | PNG_TEXT)
    texts = dict.fromkeys(data.split(b"\0")[0].decode("latin-1") for kind, data in metadata.chunks if kind in PNG_TEXT)
    if texts:
        yield f"text ({', '.join(texts)})"


def arguments(kept: Metadata, kind: str) -> dict[str, Any]:
    """Pillow's arguments for saving what is `held`."""
    common = {"exif": kept.exif, "icc_profile": kept.icc_profile, "xmp": kept.xmp}
    given: dict[str, Any] = common | ({"dpi": kept.dpi} if kept.dpi else {})
    match kind:
        case "JPEG":
            given["extra"] = _jpeg_segments(kept)
        case "PNG":
            given["pnginfo"] = _png_info(kept)
            given["transparency"] = kept.transparent
        case "TIFF":
            given["exif"] = _tiff_tags(kept)
    return given


def _jpeg_segments(kept: Metadata) -> bytes:
    """IPTC and comments."""
    room = LONGEST - len(IPTC_IN_JPEG)
    resources = (kept.photoshop[place : place + room] for place in range(0, len(kept.photoshop), room))
    comments = (
        comment[place : place + LONGEST] for comment in kept.comments for place in range(0, len(comment), LONGEST)
    )
    segments = [(b"\xff\xed", IPTC_IN_JPEG + part) for part in resources] + [(b"\xff\xfe", part) for part in comments]
    return b"".join(marker + (len(data) + 2).to_bytes(2) + data for marker, data in segments)


def _png_info(kept: Metadata) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for kind, data in kept.chunks:
        info.add(kind, data)
    if kept.xmp:
        info.add_itxt("XML:com.adobe.xmp", kept.xmp)
    for comment in kept.comments:
        info.add_text("Comment", comment.strip(b"\0").decode("utf-8", "replace"))
    return info


def _tiff_tags(kept: Metadata) -> Image.Exif:
    """A TIFF has the tags of EXIF in its own directory, and the rest as tags too."""
    tags = rewritten(_loaded(kept.exif), set())
    resources = _resources(kept.photoshop)
    _, iptc = resources.pop(IPTC, (b"", b""))
    found = {
        TiffImagePlugin.XMP: kept.xmp,
        TiffImagePlugin.PHOTOSHOP_CHUNK: _packed(resources),
        TiffImagePlugin.IPTC_NAA_CHUNK: iptc,
    }
    for tag, value in found.items():
        if value:
            tags[tag] = value
    return tags
