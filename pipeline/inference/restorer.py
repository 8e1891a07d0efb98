"""The Python interface: `Restorer`."""

import warnings
from functools import partial
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from pipeline.inference import backends, exemplars, masks, pyramid, windows
from pipeline.inference.backends import PATCHES
from pipeline.inference.conversions import (
    as_kind_of,
    holes_of,
    is_tensor,
    pixels_of,
    upright,
    upright_mask,
    with_channels,
    with_grey_for_nan,
    with_known_values,
)
from pipeline.inference.model_files import MODELS, find_model, trained_corruptions
from pipeline.runtime.errors import UserError, excerpt

if TYPE_CHECKING:
    import torch

    Mask = Image.Image | np.ndarray | torch.Tensor

FIDELITY = 0.0  # by eye: of 24 objects taken out of photos 16 look better than with 1, 6 alike
NOT_FINITE = "gives values that are not finite; copy the model again from where it is from, or train it anew"

Pictures = TypeVar("Pictures", Image.Image, np.ndarray, "torch.Tensor")


class Restorer:
    """Restores pictures with one trained generator; threads may share it.

    >>> restorer = Restorer.load()
    >>> restorer(Image.open("photo.png"), Image.open("mask.png")).save("restored.png")
    """

    def __init__(
        self,
        network: pyramid.Network,
        prior: str,
        name: str = "the model",
        corruptions: frozenset[str] = frozenset(),
        refine: pyramid.Network | None = None,
    ) -> None:
        """With the corruptions that the model is known to be for; none where that is not known.

        `refine` is the generator that makes one picture of the patches in large holes (`exemplars`).
        """
        self.network, self.prior, self.name, self.corruptions, self.refine = network, prior, name, corruptions, refine

    @classmethod
    def load(cls, source: str | Path = MODELS / "restore", texture: str | Path | None = None) -> "Restorer":
        """A trained generator.

        Args:
            source: a model folder (`data/model`, `models/portraits`), an ONNX file, a URI of MLflow, such as
                `models:/mendline@champion`, or the name of a model that ships, wherever it is installed: `restore`, for
                holes, or `superres`, to enlarge. A model folder of that name in the working folder comes first.
            texture: the same of a model on the prior `exemplar`, which refines what patches make of large holes.

        Raises:
            UserError: there is no such model, it is of another version, is on the other kind of prior, or what runs it
                is not installed.
        """
        folder = find_model(source)
        network, prior = backends.load(folder)
        if prior == PATCHES:
            raise UserError(f"{source}: refines patches in large holes alone; give it as the texture of another model")
        refine = _load_texture(texture) if texture else None
        return cls(network, prior, str(source), trained_corruptions(folder), refine)

    def __call__(
        self, image: Pictures, mask: "Mask", see_through: bool | None = None, fidelity: float = FIDELITY
    ) -> Pictures:
        """Restore a picture, or a batch of them, where the mask says.

        Args:
            image: a PIL image of mode L or RGB; an array HW, HWC or NHWC of 1 or 3 channels, uint8, uint16, or float32
                in [0, 1]; or a tensor CHW or NCHW of 1 or 3 channels, uint8, or floating in [0, 1]. NaN under the mask
                is a pixel that is missing: then nothing under the mask is looked at.
            mask: true or above half of its range (white) where to restore, false or black where to keep. A PIL image
                of any mode; an array HW or NHW; a tensor HW, NHW, or with one channel like the image; of numbers as
                `masks.from_array` reads them. Of a PIL image that EXIF turns, an upright one, or one of the image as it
                is stored where only that fits. White all over says that the picture is degraded, such as one that was
                enlarged.
            see_through: look at what is under the mask, as stains let some of it through. False for an object that
                shall go. None decides from the picture, for each connected region of the mask (`opacity`).
            fidelity: what large holes that nothing shines through become. 0: texture, of patches of the picture
                itself. 1: what the generator restores, without detail but nearest to the truth on average. 0.5: the
                low frequencies of the generator and the detail of the patches. Thin and translucent damage is the same
                with any (`exemplars`).

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
        holes, shown = holes_of(mask), upright(image)
        if isinstance(image, Image.Image):
            holes = upright_mask(holes, image)
        pixels = pixels_of(shown)
        if is_tensor(image) and holes.ndim == pixels.ndim and holes.shape[-3] == 1:
            holes = holes.squeeze(-3)
        restored = as_kind_of(shown, self.restore(pixels, holes, see_through, fidelity))
        for hole in holes if holes.ndim == 3 else [holes]:
            if warning := masks.mask_warning(hole):
                warnings.warn(warning, stacklevel=2)
        return with_known_values(image, restored, holes) if is_tensor(image) else restored

    def restore(
        self, image: np.ndarray, holes: np.ndarray, see_through: bool | None = None, fidelity: float = FIDELITY
    ) -> np.ndarray:
        """Arrays alone, without the warnings: an image as above, and bool HW or NHW."""
        if not (see_through is None or isinstance(see_through, bool)):
            raise TypeError(f"see_through={excerpt(see_through)}; expected True, False or None")
        if not (isinstance(fidelity, Real) and 0 <= fidelity <= 1):
            raise ValueError(f"fidelity={excerpt(fidelity)}; expected a number from 0 to 1")
        pictures = with_channels(image)
        if pictures.shape[:-1] != holes.shape:
            raise ValueError(
                f"a picture of shape {image.shape} and a mask of shape {holes.shape} do not fit; expected the same "
                "height and width, and as many masks as pictures"
            )
        holes = np.ascontiguousarray(holes)  # of negative strides, PyTorch takes none
        if pictures.ndim == 3:
            return self._one(pictures, holes, see_through, fidelity).reshape(image.shape)
        return np.stack([self._one(*pair, see_through, fidelity) for pair in zip(pictures, holes, strict=True)])

    def _one(self, image: np.ndarray, hole: np.ndarray, see_through: bool | None, fidelity: float) -> np.ndarray:
        """One, HWC."""
        numbered = with_grey_for_nan(image, hole)
        if not hole.any():
            return image.copy()
        if self.corruptions and all(map(_enlarges, self.corruptions)) and not hole.all():
            raise UserError(f"{self.name}: was trained to enlarge, and knows no holes; use the model restore")
        if numbered is not image:  # what is missing shows nothing
            see_through = False
        colours = numbered if image.shape[-1] == 3 else numbered.repeat(3, axis=-1)
        opaque = windows.find_opaque(colours, hole, see_through)
        shown = pyramid.painted(colours, opaque)
        restored = windows.restore(
            partial(pyramid.restore, finite(self.network, self.name), self.prior), shown, hole, True
        )
        restored = exemplars.complete(restored, hole, opaque, fidelity, self.refine)
        if not is_grey(numbered, hole):
            return restored
        grey, means = image.copy(), restored[hole].mean(axis=-1, keepdims=True)
        grey[hole] = means if image.dtype == np.float32 else means.round()
        return grey


def is_grey(image: np.ndarray, hole: np.ndarray) -> bool:
    """Whether all that is known of a picture, HWC, is grey; where nothing is, whether all of it is."""
    known = image if hole.all() else image[~hole]
    return bool((known == known[..., :1]).all())


def finite(network: pyramid.Network, name: str) -> pyramid.Network:
    """The network, refused where its weights are too large: what it gives overflows."""

    def checked(image: np.ndarray, hole: np.ndarray, start: np.ndarray) -> np.ndarray:
        restored = network(image, hole, start)
        if not np.isfinite(restored).all():
            raise UserError(f"{name}: {NOT_FINITE}")
        return restored

    return checked


def _load_texture(source: str | Path) -> pyramid.Network:
    network, prior = backends.load(find_model(source))
    if prior != PATCHES:
        raise UserError(f"{source}: its prior is {prior}; the texture of another model has {PATCHES}")
    return finite(network, str(source))


def _enlarges(corruption: str) -> bool:
    """Whether who knows it knows low resolution, by its name or, with the factor, as tables have it."""
    return corruption.startswith("lowres")
