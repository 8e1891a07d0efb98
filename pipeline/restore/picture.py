"""A picture file: its pixels as they are stored, and all else that must come out as it went in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, JpegImagePlugin, TiffImagePlugin

from pipeline.decode import FORMATS, SUFFIXES, readable
from pipeline.errors import UserError

KEPT = {  # of the settings, those that a format has room for
    "JPEG": {"exif", "icc_profile", "dpi", "qtables", "subsampling"},
    "PNG": {"exif", "icc_profile", "dpi", "transparency"},
    "WEBP": {"exif", "icc_profile"},
    "BMP": {"dpi"},
    "TIFF": {"exif", "icc_profile", "dpi", "compression"},
}
COMPRESSIONS = {"packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "lzma", "zstd"}  # TIFF's, without loss
LAYOUT = {*range(254, 263), 273, *range(277, 285), 296, 317, 320, *range(322, 326), 338, 339, 347, 34675}
"""EXIF tags that say how the pixels of the file lie they come from; in a TIFF they would say it of the new one's."""
LOSSLESS = {"WEBP": {"lossless": True, "exact": True}}
UPRIGHT = {  # what makes a stored picture upright, by its EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BACK = UPRIGHT | {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
BITS16 = ("I;16", "I;16L", "I;16B", "I")


@dataclass(frozen=True)
class Picture:
    """A picture as it is stored.

    `stored` has one of the modes L, LA, RGB, RGBA, CMYK and I;16, and is turned as in the file; `orientation` is its
    EXIF tag, 1 to 8 (a TIFF comes upright). `settings` are Pillow's arguments that keep the rest: EXIF, ICC profile,
    resolution, and the quantization tables of a JPEG.
    """

    stored: Image.Image
    orientation: int
    settings: dict[str, Any]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height when upright, in px."""
        return self.upright(self.stored).size

    def upright(self, image: Image.Image) -> Image.Image:
        """A picture that is turned as the file's, upright."""
        return image.transpose(UPRIGHT[self.orientation]) if self.orientation in UPRIGHT else image

    def pixels(self) -> np.ndarray:
        """Upright: uint8 RGB HW3, or uint16 HW3 where 16 bits are stored."""
        image = self.upright(self.stored)
        if image.mode == "I;16":
            return np.stack([np.asarray(image)] * 3, axis=-1)
        return np.array(image.convert("RGB"))

    def pixels_in_8_bits(self) -> np.ndarray:
        """Upright uint8 RGB HW3; of 16 bits the upper eight."""
        pixels = self.pixels()
        return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)

    def transparent(self) -> np.ndarray | None:
        """Upright bool HW, true where nothing of the picture can be seen; None without an alpha channel."""
        if "A" not in self.stored.mode:
            return None
        return np.asarray(self.upright(self.stored).getchannel("A")) == 0

    def with_restored(self, restored: np.ndarray, hole: np.ndarray, opaque: bool = False) -> "Picture":
        """The same picture with other colours in the hole; every other pixel stays as it is stored, bit for bit.

        Args:
            restored: as `pixels`.
            hole: bool HW, upright.
            opaque: in the hole alpha becomes full, or else stays as it is.
        """
        colours = self._turned(_in_mode(restored, self.stored.mode))
        inside = self._turned(Image.fromarray(hole))
        if "A" in self.stored.mode:
            colours.putalpha(Image.new("L", colours.size, 255) if opaque else self.stored.getchannel("A"))
        changed = self.stored.copy()
        if changed.mode == "I;16":  # which Pillow cannot paste through a mask
            array = np.where(np.asarray(inside), np.asarray(colours), np.asarray(changed))
            changed = Image.fromarray(array)
        else:
            changed.paste(colours, mask=inside)
        return Picture(changed, self.orientation, self.settings)

    def enlarged(self, pixels: np.ndarray) -> "Picture":
        """The same picture with more pixels, as `pixels`; alpha is enlarged by the bicubic filter."""
        colours = self._turned(_in_mode(pixels, self.stored.mode))
        if "A" in self.stored.mode:
            colours.putalpha(self.stored.getchannel("A").resize(colours.size, Image.Resampling.BICUBIC))
        return Picture(colours, self.orientation, _without_sides(self.settings))

    def _turned(self, image: Image.Image) -> Image.Image:
        return image.transpose(BACK[self.orientation]) if self.orientation in BACK else image


def _without_sides(settings: dict[str, Any]) -> dict[str, Any]:
    """Without the width and height that EXIF repeats."""
    if "exif" not in settings:
        return settings
    exif = Image.Exif()
    exif.load(settings["exif"])
    for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight):
        exif.get_ifd(ExifTags.IFD.Exif).pop(tag, None)
    return settings | {"exif": exif.tobytes()}


def _in_mode(pixels: np.ndarray, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(pixels.mean(axis=-1).round().astype(np.uint16))
    return Image.fromarray(pixels).convert(mode.removesuffix("A") or mode)


def read(path: Path) -> Picture:
    """A JPEG, PNG, WebP, BMP or TIFF.

    Of a palette, colours become RGB or RGBA, of one bit grey: neither has room for restored colours.

    Raises:
        UserError: not there, not a picture, truncated, of more pixels than Pillow's bomb limit (179 million), of
            several pages, or of a kind of pixels that would not come out as it went in.
    """
    try:
        content = path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    with content, readable(str(path)), Image.open(content, formats=FORMATS) as image:
        if image.format != "MPO" and _has_second(image):  # a phone's JPEG may have a preview behind it
            raise UserError(f"{path}: several pictures in one file; give a file for each")
        if _bits(image, content) > 8 and image.mode not in BITS16:
            raise UserError(f"{path}: more than 8 bits a channel in colour, which Pillow cannot keep; convert it to 8")
        image.load()  # Pillow turns a TIFF upright here
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return Picture(_storable(image, path), orientation, _settings(image))


def _has_second(image: Image.Image) -> bool:
    """Whether another picture follows; counting them all can take minutes."""
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _bits(image: Image.Image, content: BinaryIO) -> int:
    """Bits a channel in the file, which Pillow cuts to 8 in silence where there is colour."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(258, (1,)))
    if image.format == "PNG":
        place = content.tell()
        content.seek(24)  # the depth, after width and height
        depth = content.read(1)[0]
        content.seek(place)
        return depth
    return 8


def _storable(image: Image.Image, path: Path) -> Image.Image:
    if image.mode in {"L", "LA", "RGB", "RGBA", "CMYK"} and "transparency" not in image.info:
        return image.copy()
    if image.mode == "1":
        return image.convert("LA" if "transparency" in image.info else "L")
    if image.mode in {"P", "L", "RGB", "PA"}:
        alpha = "A" if image.mode == "PA" or "transparency" in image.info else ""
        return image.convert(("L" if image.mode == "L" else "RGB") + alpha)
    if image.mode in BITS16:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 2**16 - 1:
            raise UserError(f"{path}: pixels beyond 16 bits without sign; convert it")
        return Image.fromarray(values.astype(np.uint16))
    raise UserError(f"{path}: pixels of the kind {image.mode}; expected grey, RGB, CMYK or a palette")


def _settings(image: Image.Image) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    exif = image.getexif()
    for tag in LAYOUT & exif.keys():
        del exif[tag]
    if exif:
        settings["exif"] = exif.tobytes()
    if image.mode in BITS16 and "transparency" in image.info:
        settings["transparency"] = image.info["transparency"]
    for name in ("icc_profile", "dpi"):
        if image.info.get(name):
            settings[name] = image.info[name]
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        settings |= {"qtables": image.quantization, "subsampling": JpegImagePlugin.get_sampling(image)}
    if image.info.get("compression") in COMPRESSIONS:
        settings["compression"] = image.info["compression"]
    return settings


def write(picture: Picture, path: Path) -> None:
    """Write in the format that the name's suffix says. What is there is replaced once the new file is whole.

    Raises:
        UserError: no such format, or it cannot hold such pixels.
    """
    kind, image = format_of(path), picture.stored
    if (image.mode == "I;16" and kind not in {"PNG", "TIFF"}) or (kind == "BMP" and "A" in image.mode):
        raise UserError(f"{path}: {kind} cannot hold {'alpha' if 'A' in image.mode else '16 bits'}; try .png or .tif")
    settings = LOSSLESS.get(kind, {}) | {name: value for name, value in picture.settings.items() if name in KEPT[kind]}
    if kind == "BMP":  # which has no orientation
        image = picture.upright(image)
    if kind == "JPEG":
        image = image.convert(image.mode.removesuffix("A")) if "A" in image.mode else image
        settings = settings if "qtables" in settings else {"quality": 95, "subsampling": 0} | settings
    if image.mode == "CMYK" and kind not in {"JPEG", "TIFF"}:
        image = image.convert("RGB")
        settings.pop("icc_profile", None)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        image.save(part, kind, **settings)
        part.replace(path)
    except Exception as error:  # Pillow's plugins raise of all kinds
        raise UserError(f"{path}: cannot be written ({error}); try another format, such as .png") from None
    finally:
        part.unlink(missing_ok=True)


def lost(picture: Picture, path: Path) -> str | None:
    """What the format of a file cannot keep of a picture, in a line; None where it keeps all."""
    kind, mode = format_of(path), picture.stored.mode
    if mode == "CMYK" and kind not in {"JPEG", "TIFF"}:
        return f"{kind} has no CMYK: the colours become RGB, without the profile; .tif keeps them"
    if kind == "JPEG" and "A" in mode:
        return "JPEG has no transparency; .png keeps it"
    if kind == "JPEG":
        return "JPEG alters pixels outside the mask a little too; .png keeps them"
    return None


def format_of(path: Path) -> str:
    """Pillow's name of the format.

    Raises:
        UserError: none that can be written.
    """
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise UserError(f"{path}: no such format; expected {', '.join(SUFFIXES)}") from None
