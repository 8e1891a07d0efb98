"""Pictures from files that nobody vouches for: the one place that reads them, for training, `mend` and masks."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError, features

from pipeline.images.formats import NEEDS, SUFFIXES
from pipeline.images.tiff import WHITE_IS_ZERO, refuse_unfit, tag_bytes, white_is_zero
from pipeline.runtime.errors import UserError

if not features.check("avif"):
    NEEDS["AVIF"] = "needs a Pillow with AVIF: pip install --upgrade pillow"
if not find_spec("pillow_heif"):
    NEEDS["HEIF"] = "needs pillow-heif: pip install pillow-heif"

HEVC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
"""Brands of HEIF files (ISO/IEC 23008-12, annex B) that only pillow-heif reads."""
AVIF = {b"avif", b"avis"}
"""Brands of those that Pillow reads itself (AV1 Image File Format, section 6)."""
HDR = {16, 18}
"""Transfer characteristics PQ and HLG (ITU-T H.273, table 3): pixels look dull where they are taken for sRGB."""

METADATA_IN_TEXT = {"XML:com.adobe.xmp", "Raw profile type exif"}
"""Keys of a PNG's texts in which Pillow looks for EXIF's orientation."""

UPRIGHT = {  # what makes a stored picture upright, by its EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

warnings.filterwarnings("ignore", module=r"PIL\.")  # several lines on damaged metadata; errors say what matters

JPEG = b"\xff\xd8"
JPEG_MARKER = re.compile(rb"\xff+([\x02-\xcf\xd9-\xfe])")
"""Of a segment, or the end: all but restarts, which lie among a scan's data (ITU-T T.81, table B.1)."""
JPEG_END, JPEG_ARITHMETIC = 0xD9, {0xC9, 0xCA}
NOISE = bytes(range(254, 0, -1))  # no zeros first, which libjpeg puts where data is missing
MORE_DATA = NOISE + b"".join(bytes([0xFF, restart]) + NOISE for restart in range(0xD0, 0xD8))

# Pillow has the same line for little-endian files; `as_shown` turns the values round
TiffImagePlugin.OPEN_INFO.setdefault((b"MM", WHITE_IS_ZERO, (1,), 1, (16,), ()), ("I;16B", "I;16B"))


def decode(content: bytes, where: str) -> np.ndarray:
    """A picture file, turned upright by its EXIF tag, as uint8 RGB HWC; of 16 bits the upper eight, alpha ignored.

    Raises:
        UserError: as `open_picture` does.
    """
    with open_picture(content, where) as image:
        shown = turn_upright(as_shown(image), orientation(image))
        if shown.mode == "I;16":
            return np.stack([(np.asarray(shown) >> 8).astype(np.uint8)] * 3, axis=-1)
        return np.array(shown.convert("RGB"))


def decode_whole(content: bytes, where: str) -> np.ndarray:
    """As `decode`; and a JPEG whose data ends before its picture is refused, of which Pillow makes the rest grey.

    What is not seen: a cut of a few bytes that changes no pixel, damage in the middle, a progressive picture that ends
    between two of its scans, and what is arithmetic coded.

    Raises:
        UserError: as `open_picture` does, or it is cut off.
    """
    pixels = decode(content, where)
    if content.startswith(JPEG) and _is_cut_off(content, pixels, where):
        raise UserError(f"{where}: unreadable picture (truncated: its data ends early); replace or remove it")
    return pixels


def _is_cut_off(content: bytes, pixels: np.ndarray, where: str) -> bool:
    """Whether a JPEG with these pixels has no end, or more data before it would change them."""
    places = dict(_jpeg_markers(content))
    if JPEG_END not in places:
        return True
    if places.keys() & JPEG_ARITHMETIC:  # its encoders leave out zeros at the end
        return False
    end = places[JPEG_END]
    return not np.array_equal(pixels, decode(content[:end] + MORE_DATA + content[end:], where))


def _jpeg_markers(content: bytes) -> Iterator[tuple[int, int]]:
    """Kind and place of the markers, up to the end of the first picture in the file."""
    kind, place = 0, len(JPEG)
    while kind != JPEG_END and (marker := JPEG_MARKER.search(content, place)):
        kind = marker[1][0]
        yield kind, marker.start()
        place = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2])  # behind its segment


def sides(content: bytes, where: str) -> tuple[int, int]:
    """Width and height of a picture as its header has them, in px.

    Raises:
        UserError: as `open_picture` does, but what follows the header is not looked at.
    """
    with readable(where), Image.open(io.BytesIO(content), formats=_formats(content, where)) as image:
        return image.size


@contextmanager
def open_picture(content: bytes, where: str) -> Iterator[Image.Image]:
    """The one picture in a file, with all that Pillow knows of it, loaded; see `as_shown` for its pixels.

    Pillow turns a TIFF upright; other formats are turned as they are stored.

    Raises:
        UserError: not a picture, a truncated one, one of more pixels than Pillow's bomb limit (179 million), of
            several pages or frames, or of a kind of pixels that would not look as in a viewer.
    """
    with readable(where):
        formats = _formats(content, where)
        refuse_unfit(content, where)
        with Image.open(io.BytesIO(content), formats=formats) as image:
            if getattr(image, "is_animated", False) and image.format not in {"MPO", "TIFF"}:  # MPO: a phone's preview
                raise UserError(f"{where}: several pictures in one file; give a file for each")
            if isinstance(image, TiffImagePlugin.TiffImageFile) and TiffImagePlugin.XMP in image.tag_v2:
                image.info["xmp"] = tag_bytes(image, TiffImagePlugin.XMP)  # in which Pillow looks for bytes
            _forget_texts(image, content)
            image.load()
            _forget_texts(image, content)  # those behind the pixels
            depth = bits(image, content)
            if depth == 16 and _is_dim(image):
                raise UserError(
                    f"{where}: 16 bits a channel, but no value above 4095, which viewers show as black (or white); "
                    "if they are 12 bits, scale them to 16"
                )
            if image.format == "PNG":
                _scale_transparency(image, depth)
            yield image


def as_shown(image: Image.Image) -> Image.Image:
    """The pixels of an `open_picture` picture, of mode L, LA, RGB, RGBA, CMYK or I;16, as bright as in a viewer.

    A palette and Lab become RGB, one bit grey, a transparent colour alpha (16 bits of grey aside, which have none).
    """
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint16)
        return Image.fromarray(~values if white_is_zero(image) else values)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.mode in {"P", "PA"}:
        palette = image.tag_v2[TiffImagePlugin.COLORMAP]
        if max(palette) < 256:  # 8 bits in place of 16, of which Pillow took the upper eight; libtiff reads it so too
            image.putpalette(bytes(palette), "RGB;L")
    if image.mode == "CMYK":
        return image
    alpha = "A" if image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info else ""
    mode = ("L" if image.mode in {"1", "L", "LA"} else "RGB") + alpha
    return image if image.mode == mode else image.convert(mode)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, of a picture as it is stored; 1 where EXIF is damaged or says nothing."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # of all kinds; a viewer shows the picture all the same
        return 1
    return value if value in UPRIGHT else 1


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """A picture as it is stored, upright."""
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def bits(image: Image.Image, content: bytes) -> int:
    """Bits a channel in the file, which Pillow cuts to 8 in silence where there is colour."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
    if image.format == "PNG":
        return content[24]  # after the signature, and width and height in IHDR
    if image.format == "AVIF":  # high_bitdepth of the AV1CodecConfigurationRecord
        return 10 if content[content.index(b"av1C") + 6] & 0x40 else 8
    return image.info.get("bit_depth", 8)  # as pillow-heif tells it


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Turn what Pillow raises on a bad picture into a `UserError`."""
    try:
        yield
    except UserError:
        raise
    except UnidentifiedImageError:  # its text is the address of an object
        kinds = ", ".join(dict.fromkeys(kind for kind in SUFFIXES.values() if kind not in NEEDS))
        reason = f"none of {kinds}"
        raise UserError(f"{where}: unreadable picture ({reason}); replace or remove it") from None
    except Exception as error:  # Pillow's plugins raise of all kinds on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{where}: unreadable picture ({reason}); replace or remove it") from None


def _formats(content: bytes, where: str) -> list[str]:
    """Pillow's plugins to try: all, or the one for the brand of a HEIF file, whose kinds they tell apart badly."""
    kind = _heif_kind(content)
    if kind is None:
        return sorted(set(SUFFIXES.values()) - {"AVIF", "HEIF"})
    if kind in NEEDS:
        raise UserError(f"{where}: a picture of the format {kind}, which {NEEDS[kind]}")
    nclx = content.find(b"colrnclx")
    if nclx >= 0 and int.from_bytes(content[nclx + 10 : nclx + 12]) in HDR:
        raise UserError(f"{where}: an HDR picture (PQ or HLG); save it with 8 bits a channel as sRGB")
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    return [kind]


def _heif_kind(content: bytes) -> str | None:
    """Which of AVIF and HEIF a file is, by its brand or, where that leaves it open, by those it goes with."""
    if content[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(content[:4]), 256)
    for brands in {content[8:12]}, {content[place : place + 4] for place in range(16, end, 4)}:
        if brands & AVIF:
            return "AVIF"
        if brands & HEVC:
            return "HEIF"
    return None


def _is_dim(image: Image.Image) -> bool:
    """Whether 16 bits a channel keep to a sixteenth of the range, one that is black all over aside."""
    bands = [band for name, band in zip(image.getbands(), image.split(), strict=True) if name != "A"]
    if image.mode.startswith("I;16"):
        return any(0 < np.asarray(grey).max(initial=0) < 4096 for grey in (image, as_shown(image)))
    return 0 < max(int(np.asarray(band).max(initial=0)) for band in bands) < 16


def _forget_texts(image: Image.Image, content: bytes) -> None:
    """Forget a PNG's texts, which Pillow has among what it knows of the picture, under whatever name they have."""
    if image.format != "PNG":
        return
    image.info["interlace"] = content[28]  # of IHDR
    for name in [name for name, value in image.info.items() if isinstance(value, str)]:
        if name not in METADATA_IN_TEXT and not (name == "transparency" and b"tRNS" in content):
            del image.info[name]


def _scale_transparency(image: Image.Image, depth: int) -> None:
    """Bring a PNG's transparent grey or colour to 8 bits, which Pillow does with the pixels alone."""
    transparent = image.info.get("transparency")
    if image.mode == "L" and transparent is not None:
        image.info["transparency"] = transparent * 255 // (2**depth - 1)
    if image.mode == "RGB" and depth == 16 and transparent is not None:
        image.info["transparency"] = tuple(value >> 8 for value in transparent)
