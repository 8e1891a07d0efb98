"""A picture file: its pixels as they are stored, and all else that must come out as it went in."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, JpegImagePlugin

from pipeline.images import metadata
from pipeline.images.decode import UPRIGHT, as_shown, bits, open_picture, orientation, turn_upright
from pipeline.images.formats import SUFFIXES
from pipeline.images.metadata import Metadata
from pipeline.runtime.errors import UserError, explain_os_error

LOSSLESS = {"WEBP": {"lossless": True, "exact": True}}
MOST = 30  # names in a line
COARSE = 9  # mean step of a JPEG's first table, as of quality 92: by PSNR, finer ones are better enlarged as sharp ones
BACK = UPRIGHT | {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


@dataclass(frozen=True)
class Picture:
    """A picture as it is stored.

    `stored` has one of the modes L, LA, RGB, RGBA, CMYK and I;16, and is turned as in the file; `orientation` is its
    EXIF tag, 1 to 8 (a TIFF comes upright). `metadata` is what the file says besides, `quality` what Pillow needs to
    write a JPEG as finely as the file is one.
    """

    stored: Image.Image
    orientation: int = 1
    metadata: Metadata = field(default_factory=Metadata)
    quality: dict[str, Any] = field(default_factory=dict)

    @property
    def compressed(self) -> bool:
        """Whether the file is a JPEG of a quality that leaves traces."""
        return "qtables" in self.quality and np.mean(self.quality["qtables"][0]) > COARSE

    @property
    def size(self) -> tuple[int, int]:
        """Width and height when upright, in px."""
        return self.upright(self.stored).size

    def upright(self, image: Image.Image) -> Image.Image:
        """A picture that is turned as the file's, upright."""
        return turn_upright(image, self.orientation)

    def pixels(self, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
        """Upright, not to be written to: uint8 RGB HW3, or uint16 HW3 where 16 bits are stored.

        Of a box alone, if one is given: left, top, right, bottom in px, upright.
        """
        image = self.upright(self.stored)
        image = image.crop(box) if box else image
        if image.mode == "I;16":
            return np.stack([np.asarray(image)] * 3, axis=-1)
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))

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
        return self.with_boxes([(restored, hole, (0, 0))], opaque)

    def with_boxes(
        self, boxes: list[tuple[np.ndarray, np.ndarray, tuple[int, int]]], opaque: bool = False
    ) -> "Picture":
        """As `with_restored`, box by box of the picture: of each the pixels, the hole, and its left and top in px."""
        whole = self.upright(self.stored)
        changed = whole.copy() if whole is self.stored else whole
        for restored, hole, at in boxes:
            _paste(changed, restored, hole, opaque, at)
        return replace(self, stored=self._turned(changed))

    def enlarged(self, pixels: np.ndarray) -> "Picture":
        """The same picture with more pixels, as `pixels`; alpha is enlarged by the bicubic filter."""
        colours = self._turned(_in_mode(pixels, self.stored.mode))
        if "A" in self.stored.mode:
            colours.putalpha(self.stored.getchannel("A").resize(colours.size, Image.Resampling.BICUBIC))
        return replace(self, stored=colours, metadata=metadata.enlarged(self.metadata))

    def _turned(self, image: Image.Image) -> Image.Image:
        return image.transpose(BACK[self.orientation]) if self.orientation in BACK else image


def _paste(changed: Image.Image, restored: np.ndarray, hole: np.ndarray, opaque: bool, at: tuple[int, int]) -> None:
    known = changed.crop((*at, at[0] + hole.shape[1], at[1] + hole.shape[0]))
    colours, inside = _in_mode(restored, changed.mode), Image.fromarray(hole)
    if "A" in changed.mode:
        colours.putalpha(Image.new("L", colours.size, 255) if opaque else known.getchannel("A"))
    if changed.mode == "I;16":  # which Pillow cannot paste through a mask
        changed.paste(Image.fromarray(np.where(hole, np.asarray(colours), np.asarray(known))), at)
    else:
        changed.paste(colours, at, inside)


def _in_mode(pixels: np.ndarray, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(pixels.mean(axis=-1).round().astype(np.uint16))
    return Image.fromarray(pixels).convert(mode.removesuffix("A") or mode)


def read(path: Path) -> Picture:
    """A picture file of any format that `pipeline.images.decode` reads.

    Of a palette, colours become RGB or RGBA, of one bit grey: neither has room for restored colours.

    Raises:
        UserError: not there, or as `pipeline.images.decode.opened` does, or more bits a channel than could be written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(explain_os_error(error, path)) from None
    with open_picture(content, str(path)) as image:
        shown = as_shown(image)
        if bits(image, content) > 8 and shown.mode != "I;16":
            raise UserError(f"{path}: more than 8 bits a channel in colour, which Pillow cannot keep; convert it to 8")
        stored = shown.copy()
        stored.info = {}  # from which Pillow would write what another file needed
        return Picture(stored, orientation(image), metadata.of(image, content), _quality(image))


def _quality(image: Image.Image) -> dict[str, Any]:
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return {"quality": 95, "subsampling": 0}
    return {"qtables": image.quantization, "subsampling": JpegImagePlugin.get_sampling(image)}


def write(picture: Picture, path: Path) -> None:
    """Write in the format that the name's suffix says. What is there is replaced once the new file is whole.

    Raises:
        UserError: no such format, or it cannot hold such pixels.
    """
    kind, image = format_of(path), picture.stored
    if (image.mode == "I;16" and kind not in {"PNG", "TIFF"}) or (kind == "BMP" and "A" in image.mode):
        raise UserError(f"{path}: {kind} cannot hold {'alpha' if 'A' in image.mode else '16 bits'}; try .png or .tif")
    kept = metadata.held(picture.metadata, kind, _space(picture, kind))
    settings = metadata.arguments(kept, kind) | LOSSLESS.get(kind, {}) | (picture.quality if kind == "JPEG" else {})
    if kind == "BMP":  # which has no orientation
        image = picture.upright(image)
    if kind == "JPEG" and "A" in image.mode:
        image = image.convert(image.mode.removesuffix("A"))
    if image.mode == "CMYK" and kind not in {"JPEG", "TIFF"}:
        image = image.convert("RGB")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _whole(path) as partial:
            image.save(partial, kind, **settings)
    except Exception as error:  # Pillow's plugins raise of all kinds
        raise UserError(f"{path}: cannot be written ({error}); try another format, such as .png") from None


def copy(source: Path, path: Path) -> None:
    """Write the same file: to encode a JPEG anew would alter it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _whole(path) as partial:
        shutil.copyfile(source, partial)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A path to write, which then takes the place of `path`."""
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _space(picture: Picture, kind: str) -> str:
    """The colours that are written."""
    if picture.stored.mode == "CMYK" and kind in {"JPEG", "TIFF"}:
        return "CMYK"
    return "grey" if picture.stored.mode in {"L", "LA", "I;16"} and kind != "WEBP" else "RGB"


def describe_lost(picture: Picture, path: Path) -> str | None:
    """What the format of a file cannot keep of a picture, in a line; None where it keeps all."""
    kind, mode = format_of(path), picture.stored.mode
    said = []
    if mode == "CMYK" and kind not in {"JPEG", "TIFF"}:
        said.append(f"{kind} has no CMYK: the colours become RGB; .tif keeps them")
    elif kind == "JPEG" and "A" in mode:
        said.append("JPEG has no transparency; .png keeps it")
    if names := metadata.describe_lost(picture.metadata, kind, _space(picture, kind)):
        more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
        said.append(f"not kept: {', '.join(names[:MOST])}{more}")
    line = "; ".join(said)
    return "".join(letter if letter.isprintable() else "?" for letter in line) or None


def describe_altered(path: Path) -> str | None:
    """What the format of a file does to the pixels that are not restored, in a line; None where it is nothing."""
    return "JPEG alters pixels outside the mask a little too; .png keeps them" if format_of(path) == "JPEG" else None


def format_of(path: Path) -> str:
    """Pillow's name of the format.

    Raises:
        UserError: none that can be written.
    """
    if not is_written(path):
        written = ", ".join(suffix for suffix, kind in SUFFIXES.items() if kind in metadata.HELD)
        if not path.suffix:
            raise UserError(f"{path}: no folder there, and no suffix of a format; make the folder, or add {written}")
        raise UserError(f"{path}: no such format; expected {written}")
    return SUFFIXES[path.suffix.lower()]


def is_written(path: Path) -> bool:
    """Whether the suffix is of a format that can be written: not GIF, of 256 colours, nor AVIF and HEIC, with loss."""
    return SUFFIXES.get(path.suffix.lower()) in metadata.HELD
