"""What a picture file says besides its pixels, and what of it each format can hold."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from PIL import ExifTags, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from pipeline.images import exif, image_resources, png_chunks
from pipeline.images.decode import orientation
from pipeline.images.tiff import tag_bytes

FURTHER = "further pictures (preview, depth or gain map)"
LONGEST = 65533  # bytes in a segment of a JPEG
XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
IPTC_IN_JPEG = b"Photoshop 3.0\0"
MARKER = b"\x1c"  # which each record of IPTC begins with (IPTC-NAA Information Interchange Model 4, tag marker)

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

    without = exif.LAYOUT | exif.APART | (exif.OF_TIFF if isinstance(image, TiffImagePlugin.TiffImageFile) else set())
    block = whole("EXIF", lambda: exif.block(exif.rewritten(exif.of(image), without)), b"")
    photoshop = whole("IPTC", lambda: image_resources.pack(image_resources.read(_photoshop(image))), b"")
    xmp = whole("XMP", lambda: _xmp(image), b"")
    icc_profile = whole("ICC profile", lambda: _icc_profile(image), b"")
    chunks = tuple(png_chunks.chunks(content)) if image.format == "PNG" else ()
    kept = png_chunks.KEPT | (png_chunks.OF_CHANNELS if png_chunks.has_same_channels(image, content) else set())
    return Metadata(
        exif=exif.turned_as_shown(block, orientation(image)) if b"tiff:Orientation" in xmp else block,
        xmp=xmp,
        icc_profile=icc_profile,
        dpi=whole("resolution", lambda: _dpi(image), None),
        photoshop=photoshop,
        comments=_comments(image),
        chunks=tuple((kind, data) for kind, data in chunks if png_chunks.is_png_only(kind, data, kept)),
        transparent=image.info.get("transparency") if image.mode == "I;16" else None,
        gone=(*gone, *_gone(image, content), *png_chunks.gone(chunks, kept)),
    )


def _xmp(image: Image.Image) -> bytes:
    xmp = image.info.get("xmp") or b""
    return (xmp.encode() if isinstance(xmp, str) else xmp).rstrip(b"\0")


def _icc_profile(image: Image.Image) -> bytes:
    profile = image.info.get("icc_profile", b"")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        profile = tag_bytes(image, TiffImagePlugin.ICCPROFILE)
    if profile is None:  # what Pillow makes of one that it cannot unpack
        raise ValueError("no profile")
    if profile and profile[36:40] != b"acsp":  # the signature of a profile (ICC.1:2022, 7.2.11)
        raise ValueError("no profile")
    return profile


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    """The resolution, of the file or of a JPEG's EXIF; none where Pillow makes up 1 or 72, or it is 0.

    Raises:
        ValueError: the file has one that cannot be written.
    """
    across, down = map(float, image.info.get("dpi", (0, 0)))
    is_jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
    is_own = image.info.get("jfif_unit") in {1, 2} if is_jpeg else True
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        is_own = bool(exif.RESOLUTION & set(image.tag_v2))
    if 1 <= across <= 65535 and 1 <= down <= 65535:
        return (across, down) if is_own or (is_jpeg and ExifTags.Base.XResolution in image.getexif()) else None
    if is_own and (across or down):
        raise ValueError("no resolution")
    return None


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
    resources = tag_bytes(image, TiffImagePlugin.PHOTOSHOP_CHUNK)
    iptc = tag_bytes(image, TiffImagePlugin.IPTC_NAA_CHUNK)
    if iptc and not iptc.startswith(MARKER):
        raise ValueError("no IPTC")
    if iptc and image_resources.IPTC not in image_resources.read(resources):
        resources += image_resources.pack({image_resources.IPTC: (b"\0\0", iptc)})
    return resources


def _gone(image: Image.Image, content: bytes) -> Iterator[str]:
    """What no format would keep, by name."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        yield from dict.fromkeys(filter(None, (_jpeg_gone(name, data) for name, data in image.applist)))
    if image.info.get("depth_images") or image.info.get("aux"):  # as pillow-heif tells them
        yield FURTHER
    properties = content.partition(b"mdat")[0] if image.format in {"AVIF", "HEIF"} else b""
    if not _is_square(image, properties):
        yield "shape of a pixel"
    if image.format == "AVIF" and b"clap" in properties:  # libheif cuts, libavif does not
        yield "clean aperture (the picture comes out uncut)"
    extension = image.info.get("extension", (b"",))[0]
    if image.format == "GIF" and extension and not extension.startswith((b"NETSCAPE", b"ANIMEXTS")):
        yield f"extension {extension.decode('latin-1')}"
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        yield from _tiff_gone(image)


def _is_square(image: Image.Image, properties: bytes) -> bool:
    """Whether a pixel is, as far as the file, or a HEIF file's properties, say; a resolution that has a unit stays."""
    _, has_shape, shape = properties.partition(b"pasp")  # hSpacing and vSpacing (ISO/IEC 14496-12, 12.1.4)
    if has_shape:
        return shape[:4] == shape[4:8]
    unitless = image.info.get("jfif_density") if image.info.get("jfif_unit") == 0 else None
    across, down = image.info.get("aspect") or image.info.get("resolution") or unitless or (1, 1)
    return across == down


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
    if exif.LAYERS in image.tag_v2:
        yield "Photoshop's layers"


def enlarged(metadata: Metadata) -> Metadata:
    """Without what is no longer true of an enlarged picture."""
    if not metadata.exif:
        return metadata
    return replace(metadata, exif=exif.block(exif.rewritten(exif.loaded(metadata.exif), exif.SIDES)))


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


def describe_lost(metadata: Metadata, kind: str, space: str) -> list[str]:
    """The names of what a file cannot hold; arguments as of `held`."""
    kept = held(metadata, kind, space)
    in_exif = {"dpi"} if kind == "WEBP" and ExifTags.Base.XResolution in exif.loaded(metadata.exif) else set()
    named = (name for name in TITLES if getattr(metadata, name) != getattr(kept, name) and name not in in_exif)
    names = [TITLES[name] for name in named]
    if metadata.chunks != kept.chunks:
        names += png_chunks.names(metadata.chunks, bool(metadata.icc_profile))
    return [*metadata.gone, *names]


def _space(profile: bytes) -> str:
    return SPACES.get(profile[16:20], "other")


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
    tags = exif.rewritten(exif.loaded(kept.exif), set())
    resources = image_resources.read(kept.photoshop)
    _, iptc = resources.pop(image_resources.IPTC, (b"", b""))
    found = {
        TiffImagePlugin.XMP: kept.xmp,
        TiffImagePlugin.PHOTOSHOP_CHUNK: image_resources.pack(resources),
        TiffImagePlugin.IPTC_NAA_CHUNK: iptc,
    }
    for tag, value in found.items():
        if value:
            tags[tag] = value
    return tags
