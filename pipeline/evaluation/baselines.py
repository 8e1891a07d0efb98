"""Classical restorations, to stand beside the generator's. Each takes and gives uint8 RGB HWC; masks are bool HW."""

from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image
from skimage.restoration import inpaint_biharmonic

from pipeline.corruptions import lowres
from pipeline.images.tensors import mask_to_tensor, to_tensor, to_uint8
from pipeline.priors.torch_fill import fill

Restoration = Callable[[np.ndarray, np.ndarray], np.ndarray]


def untouched(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The damaged picture as it is."""
    return image


def mean_fill(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The hole in the mean colour of the known pixels."""
    restored = image.copy()
    restored[mask] = image[~mask].mean(axis=0).round()
    return restored


def telea(image: np.ndarray, mask: np.ndarray, radius: int) -> np.ndarray:
    """Telea 2004, the fast marching method, as OpenCV has it; `radius` in px."""
    return cv2.inpaint(image, mask.astype(np.uint8), radius, cv2.INPAINT_TELEA)


def navier_stokes(image: np.ndarray, mask: np.ndarray, radius: int) -> np.ndarray:
    """Bertalmio et al. 2001, as OpenCV has it; `radius` in px."""
    return cv2.inpaint(image, mask.astype(np.uint8), radius, cv2.INPAINT_NS)


def biharmonic(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Damelin and Hoang 2018, a thin plate that bends as little as it can, as scikit-image has it."""
    restored = inpaint_biharmonic(image, mask, channel_axis=-1)  # float in [0, 1], give or take
    return np.where(mask[..., None], (255 * restored).clip(0, 255).round().astype(np.uint8), image)


def prior(name: str, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """One of the priors that a generator can start from, alone."""
    restored = to_uint8(fill(name, to_tensor(image[None]), mask_to_tensor(mask[None])))[0]
    return np.where(mask[..., None], restored, image)


def for_holes(radius: int) -> dict[str, Restoration]:
    """The methods for pictures with a hole, by name."""
    return {
        "untouched": untouched,
        "mean": mean_fill,
        "telea": lambda image, mask: telea(image, mask, radius),
        "navier_stokes": lambda image, mask: navier_stokes(image, mask, radius),
        "biharmonic": biharmonic,
        "harmonic": lambda image, mask: prior("harmonic", image, mask),
        "plate": lambda image, mask: prior("plate", image, mask),
    }


def enlarged(target: np.ndarray, factor: int) -> dict[str, np.ndarray]:
    """A picture of low resolution brought back to size by the filters of every image program, by name.

    Bicubic is what the pair store has as the damaged picture.
    """
    small = lowres.shrink(target, factor)
    filters = {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}
    return {name: lowres.enlarge(small, target.shape, resampling) for name, resampling in filters.items()}
