"""Pictures and masks of every kind that Python has, as arrays, and back."""

import sys
import warnings
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from pipeline.images import exif
from pipeline.images.decode import orientation, turn_upright
from pipeline.inference import masks, pyramid

KINDS = (np.uint8, np.uint16, np.float32)
SIDEWAYS = {5, 6, 7, 8}  # EXIF orientations that swap width and height


def upright(image: Any) -> Any:
    """A PIL image as its EXIF orientation turns it, with a resolution that is turned too; anything else as it is."""
    if not isinstance(image, Image.Image):
        return image
    image.load()  # as it does so, Pillow turns a TIFF
    turn = orientation(image)
    shown = turn_upright(image, turn)
    if turn in SIDEWAYS and "dpi" in shown.info:
        shown.info["dpi"] = shown.info["dpi"][::-1]
    return shown


def upright_mask(holes: np.ndarray, image: Image.Image) -> np.ndarray:
    """A mask of a loaded image, upright; one that fits it as it is stored, and in no other way, is turned."""
    turn = orientation(image)
    if turn == 1 or holes.shape != image.size[::-1]:
        return holes
    if turn in SIDEWAYS and image.width != image.height:
        return np.asarray(turn_upright(Image.fromarray(holes), turn))
    warnings.warn(
        "EXIF turns the picture, and the mask is taken to be upright too; where it is not, give both upright "
        "(ImageOps.exif_transpose)",
        stacklevel=3,
    )
    return holes


def pixels_of(image: Any) -> np.ndarray:
    """HW, HWC or NHWC, of any type.

    Raises:
        TypeError, ValueError: neither image, array nor tensor, or of another kind or shape.
    """
    if isinstance(image, Image.Image):
        if image.mode not in {"L", "RGB"}:
            plain = "numpy.asarray(image)" if image.mode.startswith("I;16") else "image.convert"
            raise ValueError(f"a picture of mode {image.mode}; expected L or RGB ({plain})")
        return np.array(image)
    if isinstance(image, np.ndarray):
        return image
    if not is_tensor(image):
        raise TypeError(f"a picture of type {type(image).__name__}; expected a PIL image, an array or a tensor")
    if image.ndim not in {3, 4} or not (image.is_floating_point() or str(image.dtype) == "torch.uint8"):
        raise ValueError(f"a tensor {tuple(image.shape)} of {image.dtype}; expected CHW or NCHW, uint8 or floating")
    pixels = image.detach().cpu()
    return (pixels.float() if image.is_floating_point() else pixels).movedim(-3, -1).numpy()


def as_kind_of(image: Any, pixels: np.ndarray) -> Any:
    """Pixels as the kind of picture that `image` is."""
    if isinstance(image, Image.Image):
        result = Image.fromarray(pixels)
        result.info = info_of(image, result.size)
        return result
    if isinstance(image, np.ndarray):
        return pixels
    import torch

    return torch.from_numpy(pixels).movedim(-1, -3).to(image)


def info_of(image: Image.Image, size: tuple[int, int]) -> dict[str | tuple[int, int], Any]:
    """What an upright image says besides its pixels, of which Pillow writes it, or can be told to."""
    info: dict[str | tuple[int, int], Any] = {
        name: image.info[name] for name in ("icc_profile", "dpi") if name in image.info
    }
    no_more = {ExifTags.Base.Orientation} | exif.LAYOUT | exif.APART | (exif.SIDES if size != image.size else set())
    try:
        block = exif.block(exif.rewritten(exif.of(image), no_more))
    except Exception:  # Pillow raises of all kinds on damaged EXIF, which it would not write either
        return info
    return info | ({"exif": block} if block else {})


def with_known_values(image: Any, restored: Any, holes: np.ndarray) -> Any:
    """A tensor restored, whose known values are its own: float64 has digits that the arrays lack."""
    import torch

    return torch.where(torch.from_numpy(holes.copy()).unsqueeze(-3).to(image.device), restored, image)


def is_tensor(value: Any) -> bool:
    """Whether it is one of PyTorch's, which is not imported for the question."""
    torch = sys.modules.get("torch")  # who has a tensor has imported it
    return torch is not None and isinstance(value, torch.Tensor)


def holes_of(mask: Any) -> np.ndarray:
    """Bool, of the mask's shape.

    Raises:
        TypeError, ValueError: neither image, array nor tensor, or no mask by its numbers.
    """
    if isinstance(mask, Image.Image):
        return masks.from_image(upright(mask))
    if isinstance(mask, np.ndarray):
        return masks.from_array(mask)
    if not is_tensor(mask):
        raise TypeError(f"a mask of type {type(mask).__name__}; expected a PIL image, an array or a tensor")
    values = mask.detach().cpu()
    return masks.from_array((values.float() if mask.is_floating_point() else values).numpy())


def with_channels(image: np.ndarray) -> np.ndarray:
    """HWC or NHWC of 1 or 3 channels.

    Raises:
        ValueError: another type or shape, or no pixels.
    """
    if image.dtype not in KINDS:
        raise ValueError(f"pixels of type {image.dtype}; expected uint8, uint16, or float32 in [0, 1] (image.astype)")
    pictures = image[..., None] if image.ndim == 2 else image
    if pictures.ndim not in {3, 4} or pictures.shape[-1] not in {1, 3} or not pictures.size:
        raise ValueError(f"a picture of shape {image.shape}; expected HW, HWC or NHWC, of 1 or 3 channels")
    return pictures


def with_grey_for_nan(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """HWC, grey where NaN under the mask says that pixels are missing; the same array where there is none.

    Raises:
        ValueError: NaN elsewhere, or floats outside [0, 1].
    """
    if image.dtype != np.float32:
        return image
    missing = np.isnan(image).any(axis=-1)
    if outside := np.argwhere(missing & (~hole | hole.all())).tolist():
        row, column = outside[0]
        raise ValueError(
            f"NaN at row {row}, column {column}; only under a mask that leaves something may pixels be missing"
        )
    known = np.where(missing[..., None], np.float32(pyramid.GREY), image) if missing.any() else image
    if known.min() < 0 or known.max() > 1:
        raise ValueError(f"floats from {known.min()} to {known.max()}; expected [0, 1] (image.clip, or image / 255)")
    return known
