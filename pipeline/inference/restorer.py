"""The Python interface: `Restorer`."""

import csv
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import ExifTags, Image

from pipeline.images import exif
from pipeline.images.decode import orientation, turned
from pipeline.inference import backends, masks, pyramid, windows
from pipeline.runtime.errors import UserError, excerpt, told_of_file

if TYPE_CHECKING:
    import torch

    Mask = Image.Image | np.ndarray | torch.Tensor

INSTALLED = Path(__file__).parents[1] / "models"
MODELS = INSTALLED if INSTALLED.exists() else Path(__file__).parents[2] / "models"  # in the repository
KINDS = (np.uint8, np.uint16, np.float32)
FACTORS = (2, 3, 4, 8)  # those that `lowres` may have in the training
SIDEWAYS = {5, 6, 7, 8}  # EXIF orientations that swap width and height
MLFLOW = ("models:/", "runs:/", "mlflow-artifacts:/")

Pictures = TypeVar("Pictures", Image.Image, np.ndarray, "torch.Tensor")


class Restorer:
    """Restores pictures with one trained generator; threads may share it.

    >>> restorer = Restorer.load()
    >>> restorer(Image.open("photo.png"), Image.open("mask.png")).save("restored.png")
    >>> Restorer.load("superres").enlarge(Image.open("small.png"), 2).save("large.png")
    """

    def __init__(
        self, network: pyramid.Network, prior: str, name: str = "the model", corruptions: frozenset[str] = frozenset()
    ) -> None:
        """With the corruptions that the model is known to be for; none where that is not known."""
        self.network, self.prior, self.name, self.corruptions = network, prior, name, corruptions

    @classmethod
    def load(cls, source: str | Path = MODELS / "restore") -> "Restorer":
        """A trained generator.

        Args:
            source: a model folder (`data/model`, `models/portraits`), an ONNX file, a URI of MLflow, such as
                `models:/mendline@champion`, or the name of a model that ships, wherever it is installed: `restore`, for
                holes, or `superres`, to enlarge. A model folder of that name in the working folder comes first.

        Raises:
            UserError: there is no such model, it is of another version, or what runs it is not installed.
        """
        folder = _fetched(str(source)) if str(source).startswith(MLFLOW) else _found(source)
        return cls(*backends.load(folder), str(source), _corruptions(folder))

    def __call__(self, image: Pictures, mask: "Mask", see_through: bool | None = None) -> Pictures:
        """Restore a picture, or a batch of them, where the mask says.

        Args:
            image: a PIL image of mode L or RGB; an array HW, HWC or NHWC of 1 or 3 channels, uint8, uint16, or float32
                in [0, 1]; or a tensor CHW or NCHW of 1 or 3 channels, uint8, or floating in [0, 1]. NaN under the mask
                is a pixel that is missing: then nothing under the mask is looked at.
            mask: true or above half of its range (white) where to restore, false or black where to keep. A PIL image
                of any mode; an array HW or NHW; a tensor HW, NHW, or with one channel like the image; of numbers as
                `masks.of_array` reads them. Of a PIL image that EXIF turns, an upright one, or one of the image as it
                is stored where only that fits. White all over says that the picture is degraded, such as one that was
                enlarged.
            see_through: look at what is under the mask, as stains let some of it through. False for an object that
                shall go. None decides from the picture, for each connected region of the mask (`opacity`).

        Returns:
            As `image`, and equal to it outside the mask. A PIL image comes out upright, with the ICC profile, the
            resolution and EXIF in its `info`, of which `save` writes the profile as PNG and TIFF alone, and the rest
            where it is told to: `restored.save("restored.jpg", **restored.info)`. A warning says where a mask looks
            wrong, or fits both an upright image and the stored one.

        Raises:
            TypeError: neither image, array nor tensor, or another `see_through`.
            ValueError: shapes, kinds, sizes or numbers that do not fit, such as NaN outside the mask.
            UserError: a hole, and a model that knows none; or what the model gives is not finite.
        """
        holes, shown = _holes(mask), _upright(image)
        if isinstance(image, Image.Image):
            holes = _upright_mask(holes, image)
        pixels = _pixels(shown)
        if _is_tensor(image) and holes.ndim == pixels.ndim and holes.shape[-3] == 1:
            holes = holes.squeeze(-3)
        restored = _like(shown, self.restore(pixels, holes, see_through))
        for hole in holes if holes.ndim == 3 else [holes]:
            if doubt := masks.mask_warning(hole):
                warnings.warn(doubt, stacklevel=2)
        return _with_known(image, restored, holes) if _is_tensor(image) else restored

    def restore(self, image: np.ndarray, holes: np.ndarray, see_through: bool | None = None) -> np.ndarray:
        """Arrays alone, without the warnings: an image as above, and bool HW or NHW."""
        if not (see_through is None or isinstance(see_through, bool)):
            raise TypeError(f"see_through={excerpt(see_through)}; expected True, False or None")
        pictures = _pictures(image)
        if pictures.shape[:-1] != holes.shape:
            raise ValueError(
                f"a picture of shape {image.shape} and a mask of shape {holes.shape} do not fit; expected the same "
                "height and width, and as many masks as pictures"
            )
        holes = np.ascontiguousarray(holes)  # of negative strides, PyTorch takes none
        if pictures.ndim == 3:
            return self._one(pictures, holes, see_through).reshape(image.shape)
        return np.stack([self._one(*pair, see_through) for pair in zip(pictures, holes, strict=True)])

    def enlarge(self, image: Pictures, factor: int = 2) -> Pictures:
        """A picture, or a batch of them, with sides `factor` times as long.

        Args:
            image: as that of a call, without NaN.
            factor: 2, 3, 4 or 8; the model that ships was trained for 2 and 4.

        Returns:
            As `image`; a PIL image as of a call.

        Raises:
            TypeError, ValueError: as a call, or another factor.
            UserError: a model that does not enlarge.
        """
        if factor not in FACTORS:
            raise ValueError(f"a factor of {factor!r}; expected one of {', '.join(map(str, FACTORS))}")
        enlarging = sorted(filter(_enlarges, self.corruptions))
        if self.corruptions and not enlarging:
            raise UserError(f"{self.name}: was trained on holes, and cannot enlarge; use the model superres")
        if enlarging and f"lowres_x{factor}" not in enlarging:
            raise UserError(f"{self.name}: was not trained for a factor of {factor}; it knows {excerpt(enlarging)}")
        shown = _upright(image)
        pixels = _pixels(shown)
        if _pictures(pixels).ndim == 3:
            return _like(shown, self._larger(pixels, int(factor)))
        return _like(image, np.stack([self._larger(picture, int(factor)) for picture in pixels]))

    def _larger(self, image: np.ndarray, factor: int) -> np.ndarray:
        """One, HW or HWC."""
        height, width = image.shape[:2]
        planes = _numbered(_pictures(image), np.ones((height, width), bool)).transpose(2, 0, 1)
        size = width * factor, height * factor
        filtered = [
            Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC) for plane in map(np.ascontiguousarray, planes)
        ]
        larger = np.dstack([np.asarray(plane) for plane in filtered])
        if larger.dtype == np.float32:  # the filter overshoots
            larger = larger.clip(0, 1)
        return self.restore(larger, np.ones(larger.shape[:2], bool)).reshape(*larger.shape[:2], *image.shape[2:])

    def _one(self, image: np.ndarray, hole: np.ndarray, see_through: bool | None) -> np.ndarray:
        """One, HWC."""
        numbered = _numbered(image, hole)
        if not hole.any():
            return image.copy()
        if self.corruptions and all(map(_enlarges, self.corruptions)) and not hole.all():
            raise UserError(f"{self.name}: was trained to enlarge, and knows no holes; use the model restore")
        if numbered is not image:  # what is missing shows nothing
            see_through = False
        colours = numbered if image.shape[-1] == 3 else numbered.repeat(3, axis=-1)
        restored = windows.restore(partial(pyramid.restore, self._checked, self.prior), colours, hole, see_through)
        if image.shape[-1] == 3:
            return restored
        grey, means = image.copy(), restored[hole].mean(axis=-1, keepdims=True)
        grey[hole] = means if image.dtype == np.float32 else means.round()
        return grey

    def _checked(self, image: np.ndarray, hole: np.ndarray, start: np.ndarray) -> np.ndarray:
        """What the network gives; weights that are too large overflow."""
        restored = self.network(image, hole, start)
        if not np.isfinite(restored).all():
            wrong = "gives values that are not finite; copy the model again from where it is from, or train it anew"
            raise UserError(f"{self.name}: {wrong}")
        return restored


def _enlarges(corruption: str) -> bool:
    """Whether who knows it knows low resolution, by its name or, with the factor, as tables have it."""
    return corruption.startswith("lowres")


def _upright(image: Any) -> Any:
    """A PIL image as its EXIF orientation turns it, with a resolution that is turned too; anything else as it is."""
    if not isinstance(image, Image.Image):
        return image
    image.load()  # as it does so, Pillow turns a TIFF
    turn = orientation(image)
    shown = turned(image, turn)
    if turn in SIDEWAYS and "dpi" in shown.info:
        shown.info["dpi"] = shown.info["dpi"][::-1]
    return shown


def _upright_mask(holes: np.ndarray, image: Image.Image) -> np.ndarray:
    """A mask of a loaded image, upright; one that fits it as it is stored, and in no other way, is turned."""
    turn = orientation(image)
    if turn == 1 or holes.shape != image.size[::-1]:
        return holes
    if turn in SIDEWAYS and image.width != image.height:
        return np.asarray(turned(Image.fromarray(holes), turn))
    warnings.warn(
        "EXIF turns the picture, and the mask is taken to be upright too; where it is not, give both upright "
        "(ImageOps.exif_transpose)",
        stacklevel=3,
    )
    return holes


def _pixels(image: Any) -> np.ndarray:
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
    if not _is_tensor(image):
        raise TypeError(f"a picture of type {type(image).__name__}; expected a PIL image, an array or a tensor")
    if image.ndim not in {3, 4} or not (image.is_floating_point() or str(image.dtype) == "torch.uint8"):
        raise ValueError(f"a tensor {tuple(image.shape)} of {image.dtype}; expected CHW or NCHW, uint8 or floating")
    pixels = image.detach().cpu()
    return (pixels.float() if image.is_floating_point() else pixels).movedim(-3, -1).numpy()


def _like(image: Any, pixels: np.ndarray) -> Any:
    """Pixels as the kind of picture that `image` is."""
    if isinstance(image, Image.Image):
        result = Image.fromarray(pixels)
        result.info = _info(image, result.size)
        return result
    if isinstance(image, np.ndarray):
        return pixels
    import torch

    return torch.from_numpy(pixels).movedim(-1, -3).to(image)


def _info(image: Image.Image, size: tuple[int, int]) -> dict[str | tuple[int, int], Any]:
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


def _with_known(image: Any, restored: Any, holes: np.ndarray) -> Any:
    """A tensor restored, whose known values are its own: float64 has digits that the arrays lack."""
    import torch

    return torch.where(torch.from_numpy(holes.copy()).unsqueeze(-3).to(image.device), restored, image)


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")  # who has a tensor has imported it
    return torch is not None and isinstance(value, torch.Tensor)


def _holes(mask: Any) -> np.ndarray:
    """Bool, of the mask's shape.

    Raises:
        TypeError, ValueError: neither image, array nor tensor, or no mask by its numbers.
    """
    if isinstance(mask, Image.Image):
        return masks.of_image(_upright(mask))
    if isinstance(mask, np.ndarray):
        return masks.of_array(mask)
    if not _is_tensor(mask):
        raise TypeError(f"a mask of type {type(mask).__name__}; expected a PIL image, an array or a tensor")
    values = mask.detach().cpu()
    return masks.of_array((values.float() if mask.is_floating_point() else values).numpy())


def _pictures(image: np.ndarray) -> np.ndarray:
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


def _numbered(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
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


def _found(source: str | Path) -> Path:
    """The folder or file of a model, from its path or the name that it ships under.

    Raises:
        UserError: neither is there.
    """
    path = Path(source)
    ships = sorted(config.parent.name for config in MODELS.glob("*/config.json"))
    if str(source) in ships and not (path / "config.json").exists():
        return MODELS / path
    if not path.is_dir() and not (path.is_file() and path.suffix == ".onnx"):
        raise UserError(
            f"{source}: no such model; give a model folder (dvc repro makes data/model), an ONNX file, a URI of MLflow "
            f"(models:/mendline@champion), or the name of a model that ships: {' or '.join(ships)}"
        )
    return path


def _corruptions(source: Path) -> frozenset[str]:
    """What a model was trained for: the corruptions of its table of scores, if that was kept beside it.

    Raises:
        UserError: the table cannot be read.
    """
    table = (source if source.is_dir() else source.parent) / "scores.csv"
    if not table.exists():
        return frozenset()
    try:
        with table.open(newline="", encoding="utf-8", errors="replace") as lines:
            return frozenset(filter(None, (line.get("corruption") for line in csv.DictReader(lines))))
    except OSError as error:
        raise UserError(told_of_file(error, table)) from None
    except csv.Error as error:
        raise UserError(
            f"{table}: not a table of scores ({error}); remove it, or copy it again from where the model is from"
        ) from None


def _fetched(uri: str) -> Path:
    """The model's folder, out of MLflow."""
    try:
        from pipeline.tracking import client
    except ImportError as error:
        raise UserError(f"{uri}: {error.name} is not installed; install it, or give a folder") from None
    logged = client.download(uri)
    found = sorted(logged.rglob("generator.safetensors"))
    if not found:
        raise UserError(f"{uri}: no generator in it; expected a model of this pipeline")
    return found[0].parent
