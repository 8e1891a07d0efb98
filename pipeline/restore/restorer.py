"""The Python interface: `Restorer`."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image

from pipeline.errors import UserError
from pipeline.restore import masks, networks, scales

if TYPE_CHECKING:
    import torch

    Mask = Image.Image | np.ndarray | torch.Tensor

INSTALLED = Path(__file__).parents[1] / "models"
MODELS = INSTALLED if INSTALLED.exists() else Path(__file__).parents[2] / "models"  # in the repository
KINDS = (np.uint8, np.uint16, np.float32)
MLFLOW = ("models:/", "runs:/", "mlflow-artifacts:/")

Pictures = TypeVar("Pictures", Image.Image, np.ndarray, "torch.Tensor")


class Restorer:
    """Restores pictures with one trained generator; threads may share it.

    >>> restorer = Restorer.load()
    >>> restorer(Image.open("photo.png"), Image.open("mask.png")).save("restored.png")
    """

    def __init__(self, network: scales.Network, prior: str) -> None:
        self.network, self.prior = network, prior

    @classmethod
    def load(cls, source: str | Path = MODELS / "restore") -> "Restorer":
        """A trained generator.

        Args:
            source: a model folder (`data/model`, `models/restore`), an ONNX file, or a URI of MLflow, such as
                `models:/mendline@champion`.

        Raises:
            UserError: there is no such model, it is of another version, or what runs it is not installed.
        """
        folder = _fetched(str(source)) if str(source).startswith(MLFLOW) else Path(source)
        return cls(*networks.load(folder))

    def __call__(self, image: Pictures, mask: "Mask", see_through: bool = True) -> Pictures:
        """Restore a picture, or a batch of them, where the mask says.

        Args:
            image: a PIL image of mode L or RGB; an array HW, HWC or NHWC of 1 or 3 channels, uint8, uint16, or float32
                in [0, 1]; or a tensor CHW or NCHW of 1 or 3 channels, uint8, or floating in [0, 1].
            mask: true or above half of its range (white) where to restore, false or black where to keep. A PIL image
                of any mode; an array HW or NHW; a tensor HW, NHW, or with one channel like the image. White all
                over says that the picture is degraded, such as one that was enlarged.
            see_through: look at what is under the mask, as stains and scratches let some of it through. False for an
                object that shall go.

        Returns:
            As `image`, and equal to it outside the mask. A warning says where a mask looks wrong.

        Raises:
            ValueError: shapes, kinds or sizes that do not fit.
        """
        holes = _as_holes(mask)
        if isinstance(image, Image.Image):
            result: Any = Image.fromarray(self.restore(np.array(_plain(image)), holes, see_through))
        elif isinstance(image, np.ndarray):
            result = self.restore(image, holes, see_through)
        else:
            result = self._tensors(image, holes, see_through)
        for hole in holes if holes.ndim == 3 else [holes]:
            if doubt := masks.doubt(hole):
                warnings.warn(doubt, stacklevel=2)
        return result

    def restore(self, image: np.ndarray, holes: np.ndarray, see_through: bool = True) -> np.ndarray:
        """Arrays alone, without the warnings: an image as above, and bool HW or NHW."""
        if image.dtype not in KINDS:
            raise ValueError(f"pixels of type {image.dtype}; expected uint8, uint16 or float32")
        pictures = image[..., None] if image.ndim == 2 else image
        if pictures.ndim not in {3, 4} or pictures.shape[-1] not in {1, 3} or pictures.shape[:-1] != holes.shape:
            raise ValueError(f"a picture of shape {image.shape} and a mask of shape {holes.shape} do not fit")
        if pictures.ndim == 3:
            return self._one(pictures, holes, see_through).reshape(image.shape)
        return np.stack([self._one(*pair, see_through) for pair in zip(pictures, holes, strict=True)])

    def enlarge(self, image: np.ndarray, factor: int) -> np.ndarray:
        """A picture (uint8 or uint16, HW3) with sides `factor` times as long, by a generator trained on `lowres`."""
        size = (image.shape[1] * factor, image.shape[0] * factor)
        planes = [Image.fromarray(np.ascontiguousarray(image[..., channel])) for channel in range(3)]
        larger = np.dstack([np.asarray(plane.resize(size, Image.Resampling.BICUBIC)) for plane in planes])
        return self.restore(larger, np.ones(larger.shape[:2], bool))

    def _tensors(self, image: "torch.Tensor", holes: np.ndarray, see_through: bool) -> "torch.Tensor":
        import torch

        if image.ndim not in {3, 4} or not (image.dtype == torch.uint8 or image.is_floating_point()):
            raise ValueError(f"a tensor {tuple(image.shape)} of {image.dtype}; expected CHW or NCHW, uint8 or floating")
        if holes.ndim == image.ndim and holes.shape[-3] == 1:
            holes = holes.squeeze(-3)
        pixels = image.detach().cpu()
        array = (pixels if image.dtype == torch.uint8 else pixels.float()).movedim(-3, -1).numpy()
        restored = torch.from_numpy(self.restore(array, holes, see_through)).movedim(-1, -3).to(image)
        return torch.where(torch.from_numpy(holes).unsqueeze(-3).to(image.device), restored, image)

    def _one(self, image: np.ndarray, hole: np.ndarray, see_through: bool) -> np.ndarray:
        colours = image if image.shape[-1] == 3 else image.repeat(3, axis=-1)
        restored = scales.restore(self.network, self.prior, colours, hole, see_through)
        if image.shape[-1] == 3:
            return restored
        mean = restored.mean(axis=-1, keepdims=True)
        rounded = mean if image.dtype == np.float32 else mean.round()
        return np.where(hole[..., None], rounded.astype(image.dtype), image)


def _plain(image: Image.Image) -> Image.Image:
    if image.mode not in {"L", "RGB"}:
        raise ValueError(f"a picture of mode {image.mode}; expected L or RGB (image.convert)")
    return image


def _as_holes(mask: "Mask") -> np.ndarray:
    """Bool, of the mask's shape; of integers that are all 0 or 1, 1 is white."""
    if isinstance(mask, Image.Image):
        return masks.of_image(mask)
    array = mask if isinstance(mask, np.ndarray) else mask.detach().cpu().numpy()
    if not np.issubdtype(array.dtype, np.integer) or array.max(initial=0) <= 1:
        return array > 0.5
    return array > np.iinfo(array.dtype).max // 2


def _fetched(uri: str) -> Path:
    """The model's folder, out of MLflow."""
    try:
        import mlflow

        from pipeline.tracking import store
    except ImportError:
        raise UserError(f"{uri}: MLflow is not installed; install it, or give a folder") from None
    mlflow.set_tracking_uri(store.uri())
    try:
        logged = Path(mlflow.artifacts.download_artifacts(uri))
    except mlflow.exceptions.MlflowException as error:
        raise UserError(f"{uri}: {str(error).splitlines()[0]}; see MLFLOW_TRACKING_URI") from None
    found = sorted(logged.rglob("generator.safetensors"))
    if not found:
        raise UserError(f"{uri}: no generator in it; expected a model of this pipeline")
    return found[0].parent
