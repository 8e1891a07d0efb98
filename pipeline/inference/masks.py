"""Where a picture is to be restored: masks from files, colours and transparency. Bool HW, upright, true to restore."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pipeline.images.decode import as_shown, open_picture, orientation, turn_upright
from pipeline.inference import image_file, pyramid
from pipeline.inference.image_file import Picture
from pipeline.priors.numpy_fill import fill
from pipeline.runtime.errors import UserError, explain_os_error

NEAR = 32  # of 255, a channel: a brush's colour after JPEG
SOFT, SMEARED = 2, 3  # px around it that are taken whatever they are: what a brush and what a JPEG of quality 90 mix
SHARP = 0.5  # share of the paint's edge that has its very colour: in a JPEG it is below 0.25 where there is chroma
BLOCK, FILTER = 16, 2  # px: where a colour runs: a block of subsampled chroma, and what enlarges it
COLOURFUL = 64  # of 255: a colour's largest channel less its smallest, from which on its chroma gives it away
TINT, FAINTEST = 0.08, 10 / 255  # of the way from the picture's chroma to the paint's, and of the range of chroma
STRIP = 1024  # px: height of what is grown at once
WHITES = 1, 255, 65535  # what integers may have for white
STRETCHED = 0.02  # the most that the sides' ratios may differ, relatively, for a mask of another size
GREY = 0.5  # share of a picture that is neither black nor white; above, it is no mask
INVERTED = 0.5  # share of the picture's rim; above, the mask looks inverted


def read(path: Path, of: Picture) -> np.ndarray:
    """A mask file: white (above 127) is to be restored, black is kept; what is transparent is kept.

    One of another size is scaled with nearest neighbours.

    Raises:
        UserError: not there, unreadable, no mask as `from_image` sees it, or of other proportions than the picture.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(explain_os_error(error, path)) from None
    with open_picture(content, str(path)) as image:
        shown = as_shown(image)
        try:
            layer = turn_upright(Image.fromarray(from_image(shown)), orientation(image)).convert("L")
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
    width, height = of.size
    if layer.size == of.stored.size != of.size:  # drawn on the picture as it is stored
        layer = of.upright(layer)
    if abs(layer.width * height / (layer.height * width) - 1) > STRETCHED:
        raise UserError(f"{path}: {layer.width} x {layer.height} px, but the picture has {width} x {height}")
    return np.asarray(layer.resize((width, height), Image.Resampling.NEAREST)) > 127


def from_image(image: Image.Image) -> np.ndarray:
    """A PIL image of any mode as a mask: true where it is white, above half, false where black or transparent.

    Its grey levels are read as `from_array` reads numbers; in F, white may be 255 or 65,535 too.

    Raises:
        ValueError: as `from_array`, or a picture: more than half of it is neither black nor white.
    """
    values = _levels(image)
    white = _white(values)
    grey = ((values > white / 8) & (values < white * 7 / 8)).mean()  # of a mask, its soft edges
    if grey > GREY:
        what = f"{grey:.0%} of it is neither black nor white"
        raise ValueError(f"{what}; expected a mask, white where to restore and black where to keep")
    return values > white / 2


def _levels(image: Image.Image) -> np.ndarray:
    """Its grey levels, on black where it is transparent; HW, bool, integers, or floats where these are not whole."""
    if image.mode == "F":
        values = np.asarray(image)
        return values.astype(np.int64) if np.isfinite(values).all() and (values == values.round()).all() else values
    has_no_colours = image.mode == "P" and not image.getpalette()
    if image.mode in {"1", "I"} or image.mode.startswith("I;16") or has_no_colours:
        return np.asarray(image)
    if image.mode in {"L", "RGB"} and "transparency" not in image.info:  # in a quarter of the memory
        return np.asarray(image.convert("L"))
    layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", layer.size, "black"), layer).convert("L"))


def from_array(values: np.ndarray) -> np.ndarray:
    """Numbers as a mask, of their shape: what is above half of white is to be restored.

    Args:
        values: bool; floating in [0, 1]; or integers of any type whose white is 1, 255 or 65535: the least of these
            that none of them exceeds. Floats that are all 0 or 255 are taken as integers.

    Raises:
        ValueError: other numbers, none of whose readings is sure, or NaN; with the range that was seen.
        TypeError: not numbers.
    """
    return values > _white(values) / 2


def _white(values: np.ndarray) -> int:
    """The value of white; errors as of `from_array`."""
    if values.dtype == bool:
        return 1
    if values.dtype.kind not in "uif":
        raise TypeError(f"a mask of {values.dtype}; expected bool, integers, or floats in [0, 1]")
    least, most = (values.min(), values.max()) if values.size else (0, 0)
    if values.dtype.kind == "f" and least >= 0 and most <= 1:
        return 1
    whole = values.dtype.kind in "ui" or (most == WHITES[1] and np.isin(values, (0, most)).all())
    white = next((white for white in WHITES if most <= white), 0)
    if not whole or least < 0 or white // 2 >= most > 1 or not white:
        raise ValueError(
            f"a mask of {values.dtype} from {least} to {most}; expected bool, floats in [0, 1], or integers "
            "with 1, 255 or 65535 for white (mask > 0 restores all but 0)"
        )
    return white


def write(hole: np.ndarray, path: Path) -> None:
    """A mask file, in the format that the suffix says."""
    image_file.write(Picture(Image.fromarray(hole).convert("L")), path)


def from_colour(pixels: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    """Where a picture is painted over with a colour, and all that the colour has run into.

    A JPEG spreads colour over its blocks: of 8 px, or of 16 where chroma is subsampled (ITU-T T.81, A.1.1). So in the
    paint's blocks what has moved from the picture's chroma, a smooth fill, towards the paint's is taken too.
    White, grey and black have no chroma: of these the rim alone is taken.

    Args:
        pixels: uint8 RGB HW3.
        colour: RGB, 0 to 255.

    Raises:
        UserError: no pixel has nearly that colour.
    """
    least, most = ([min(255, max(0, level + change)) for level in colour[:3]] for change in (-NEAR, NEAR))
    paint = cv2.inRange(pixels, np.array(least), np.array(most))
    if not paint.any():
        raise UserError(f"no pixel is painted #{bytes(colour[:3]).hex()}, or nearly so; look up the brush's colour")
    if _is_sharp(paint, cv2.inRange(pixels, np.array(colour[:3]), np.array(colour[:3]))):
        return cv2.dilate(paint, _square(SOFT)).astype(bool)
    hole = cv2.dilate(paint, _square(SMEARED)).astype(bool)
    if max(colour[:3]) - min(colour[:3]) >= COLOURFUL:
        reach = _blocks(hole)
        for tile, around in pyramid.tiles(reach):
            tinted = _tinted(pyramid.as_float(pixels[around]), reach[around], colour).astype(np.uint8)
            hole[tile] |= cv2.dilate(tinted, _square(1)).astype(bool)[pyramid.within(tile, around)]
    return cv2.morphologyEx(hole.astype(np.uint8), cv2.MORPH_CLOSE, _square(SMEARED)).astype(bool)


def _is_sharp(paint: np.ndarray, exact: np.ndarray) -> bool:
    """Whether the edge of the paint has its very colour, as in a PNG, so that nothing was smeared; uint8 HW both."""
    edge = (paint > 0) & (cv2.erode(paint, _square(2)) == 0)
    return bool((exact[edge] > 0).mean() > SHARP)


def _blocks(hole: np.ndarray) -> np.ndarray:
    """The JPEG blocks that a hole touches, with the filter's reach around them; bool HW."""
    height, width = hole.shape
    whole = np.pad(hole, ((0, -height % BLOCK), (0, -width % BLOCK)))
    touched = whole.reshape(len(whole) // BLOCK, BLOCK, -1, BLOCK).any(axis=(1, 3))
    blocks = touched.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]
    return cv2.dilate(blocks.astype(np.uint8), _square(FILTER)).astype(bool)


def _square(reach: int) -> np.ndarray:
    return np.ones((2 * reach + 1,) * 2, np.uint8)


def _tinted(image: np.ndarray, reach: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    """Where chroma has moved towards a colour's from that of a smooth fill; bool HW, inside `reach`."""
    paint = np.array(colour[:3], np.float32).reshape(1, 1, 3) / 255
    seen, clean, aim = (
        cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., 1:] for rgb in (image, fill("pushpull", image, reach), paint)
    )
    way = aim - clean
    length = np.sqrt((way**2).sum(axis=-1))
    moved = ((seen - clean) * way).sum(axis=-1)
    return reach & (moved > length * np.maximum(TINT * length, FAINTEST))


def grow(hole: np.ndarray, width: int) -> np.ndarray:
    """The mask, wider by so many px on all sides."""
    if not width:
        return hole
    wider = hole.copy()
    for top in range(0, len(hole), STRIP):  # distances take four times the memory of the mask
        first = max(0, top - width)
        strip = hole[first : top + STRIP + width]
        if strip.any():
            away = cv2.distanceTransform((~strip).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            wider[top : top + STRIP] = (away <= width)[top - first :][:STRIP]
    return wider


def mask_warning(hole: np.ndarray) -> str | None:
    """What looks wrong about a mask, in a line; None where nothing does."""
    if not hole.any():
        return "the mask is black all over, so nothing is restored; white is what to restore"
    if hole.all():
        return "the mask is white all over: the whole picture is taken as degraded; white is what to restore"
    rim = np.concatenate([hole[0], hole[-1], hole[:, 0], hole[:, -1]])
    if hole.mean() > INVERTED and rim.mean() > INVERTED:
        return f"the mask looks inverted: {hole.mean():.0%} of it is white, which is what to restore; black is kept"
    return None
