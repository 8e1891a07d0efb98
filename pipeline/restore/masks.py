"""Where a picture is to be restored: masks from files, colours and transparency. Bool HW, upright, true to restore."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pipeline.decode import as_shown, opened, orientation, turned
from pipeline.errors import UserError
from pipeline.restore import picture
from pipeline.restore.picture import Picture

NEAR = 32  # of 255, a channel: a brush's colour after JPEG
WHITES = 1, 255, 65535  # what integers may have for white
STRETCHED = 0.02  # the most that the sides' ratios may differ, relatively, for a mask of another size
INVERTED = 0.5  # share of the picture's rim; above, the mask looks inverted


def read(path: Path, of: Picture) -> np.ndarray:
    """A mask file: white (above 127) is to be restored, black is kept; what is transparent is kept.

    One of another size is scaled with nearest neighbours.

    Raises:
        UserError: not there, unreadable, or of other proportions than the picture.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    with opened(content, str(path)) as image:
        layer = turned(Image.fromarray(of_image(as_shown(image))), orientation(image)).convert("L")
    width, height = of.size
    if layer.size == of.stored.size != of.size:  # drawn on the picture as it is stored
        layer = of.upright(layer)
    if abs(layer.width * height / (layer.height * width) - 1) > STRETCHED:
        raise UserError(f"{path}: {layer.width} x {layer.height} px, but the picture has {width} x {height}")
    return np.asarray(layer.resize((width, height), Image.Resampling.NEAREST)) > 127


def of_image(image: Image.Image) -> np.ndarray:
    """A PIL image of any mode as a mask: true where it is white, above half, false where black or transparent.

    White is 255; 65,535 in 16 bits, and in 32 bits (I, F), which have no white of their own, 1, 255 or 65,535, the
    least that no value exceeds.
    """
    if image.mode in {"1", "L"} and "transparency" not in image.info:
        return np.asarray(image.convert("L")) > 127
    if image.mode in {"I", "F"}:
        values = np.asarray(image)
        return values > next((white for white in (1, 255) if values.max(initial=0) <= white), 65535) / 2
    if image.mode.startswith("I;16"):
        return np.asarray(image) > 2**15
    layer = image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", layer.size, "black"), layer).convert("L")) > 127


def of_array(values: np.ndarray) -> np.ndarray:
    """Numbers as a mask, of their shape: what is above half of white is to be restored.

    Args:
        values: bool; floating in [0, 1]; or integers of any type whose white is 1, 255 or 65535: the least of these
            that none of them exceeds. Floats that are all 0 or 255 are taken as integers.

    Raises:
        ValueError: other numbers, none of whose readings is sure, or NaN; with the range that was seen.
        TypeError: not numbers.
    """
    if values.dtype == bool:
        return values
    if values.dtype.kind not in "uif":
        raise TypeError(f"a mask of {values.dtype}; expected bool, integers, or floats in [0, 1]")
    least, most = (values.min(), values.max()) if values.size else (0, 0)
    if values.dtype.kind == "f" and least >= 0 and most <= 1:
        return values > 0.5
    whole = values.dtype.kind in "ui" or (most == WHITES[1] and np.isin(values, (0, most)).all())
    white = next((white for white in WHITES if most <= white), 0)
    if not whole or least < 0 or white // 2 >= most > 1 or not white:
        raise ValueError(
            f"a mask of {values.dtype} from {least} to {most}; expected bool, floats in [0, 1], or integers "
            "with 1, 255 or 65535 for white (mask > 0 restores all but 0)"
        )
    return values > white // 2


def write(hole: np.ndarray, path: Path) -> None:
    """A mask file, in the format that the suffix says."""
    picture.write(Picture(Image.fromarray(hole).convert("L")), path)


def of_colour(pixels: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    """Where a picture (uint8 RGB HW3) is painted over with a colour (RGB, 0 to 255), after JPEG or softly too."""
    near = (cv2.absdiff(pixels, np.full_like(pixels, colour[:3])).max(axis=-1) <= NEAR).astype(np.uint8)
    return cv2.dilate(near, np.ones((3, 3), np.uint8)).astype(bool)


def doubt(hole: np.ndarray) -> str | None:
    """What looks wrong about a mask, in a line; None where nothing does."""
    if not hole.any():
        return "the mask is black all over, so nothing is restored; white is what to restore"
    if hole.all():
        return "the mask is white all over: the whole picture is taken as degraded; white is what to restore"
    rim = np.concatenate([hole[0], hole[-1], hole[:, 0], hole[:, -1]])
    if hole.mean() > INVERTED and rim.mean() > INVERTED:
        return f"the mask looks inverted: {hole.mean():.0%} of it is white, which is what to restore; black is kept"
    return None
