"""Classical restorations, to stand beside the generator's. Pictures are uint8 RGB HWC; masks are bool HW."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image
from skimage.restoration import inpaint_biharmonic

from pipeline.images.resize import resize
from pipeline.images.tensors import mask_to_tensor, to_tensor, to_uint8
from pipeline.priors.torch_fill import fill


@dataclass(frozen=True)
class Damaged:
    """What a method is given.

    Attributes:
        image: the damaged picture, uint8 HWC.
        mask: where to restore, bool HW.
        small: the picture at the low resolution that it was brought to size from; `image` where it has a hole instead.
        radius: of Telea and Navier-Stokes, in px.
    """

    image: np.ndarray
    mask: np.ndarray
    small: np.ndarray
    radius: int


@dataclass(frozen=True)
class Baseline:
    """A classical method.

    Attributes:
        restore: gives the restored picture, uint8 HWC.
        label: for people.
        task: the one of `pipeline.tasks` that it is for.
        slow: takes about a second a picture of 128 px, and so runs only where it is asked for.
    """

    restore: Callable[[Damaged], np.ndarray]
    label: str
    task: str
    slow: bool = False


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


def fsr(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Genser et al. 2018, rapid frequency selective reconstruction, as OpenCV has it, the faster of its two qualities.

    Of pictures below 48 px OpenCV leaves some of the hole black.
    """
    bgr = _xphoto(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), mask, cv2.xphoto.INPAINT_FSR_FAST)
    return np.where(mask[..., None], cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), image)


def shift_map(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """He and Sun 2012, patches moved by the picture's most frequent offsets, as OpenCV has it.

    Where its offsets find nothing known OpenCV leaves the hole black; that is rare from 48 px on.
    """
    lab = _xphoto(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), mask, cv2.xphoto.INPAINT_SHIFTMAP)
    return np.where(mask[..., None], cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), image)


def _xphoto(image: np.ndarray, mask: np.ndarray, algorithm: int) -> np.ndarray:
    """`cv2.xphoto.inpaint`, whose masks are 255 where the picture is known."""
    restored = np.zeros_like(image)
    cv2.xphoto.inpaint(image, np.where(mask, 0, 255).astype(np.uint8), restored, algorithm)
    return restored


def prior(name: str, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """One of the priors that a generator can start from, alone."""
    restored = to_uint8(fill(name, to_tensor(image[None]), mask_to_tensor(mask[None])))[0]
    return np.where(mask[..., None], restored, image)


BASELINES = {
    "untouched": Baseline(lambda given: given.image, "untouched", "restore"),
    "mean": Baseline(lambda given: mean_fill(given.image, given.mask), "mean fill", "restore"),
    "telea": Baseline(lambda given: telea(given.image, given.mask, given.radius), "Telea", "restore"),
    "navier_stokes": Baseline(
        lambda given: navier_stokes(given.image, given.mask, given.radius), "Navier-Stokes", "restore"
    ),
    "biharmonic": Baseline(lambda given: biharmonic(given.image, given.mask), "biharmonic", "restore"),
    "harmonic": Baseline(lambda given: prior("harmonic", given.image, given.mask), "harmonic prior", "restore"),
    "plate": Baseline(lambda given: prior("plate", given.image, given.mask), "plate prior", "restore"),
    "fsr": Baseline(lambda given: fsr(given.image, given.mask), "FSR", "restore", slow=True),
    "shift_map": Baseline(lambda given: shift_map(given.image, given.mask), "shift map", "restore", slow=True),
    "bicubic": Baseline(
        lambda given: resize(given.small, given.image.shape, Image.Resampling.BICUBIC), "bicubic", "superres"
    ),
    "lanczos": Baseline(
        lambda given: resize(given.small, given.image.shape, Image.Resampling.LANCZOS), "Lanczos", "superres"
    ),
}


def restore_all(task: str, damaged: Damaged, slow: Collection[str] = ()) -> dict[str, np.ndarray]:
    """What each baseline of a task makes of a picture, by name: uint8 HWC. Of the slow ones, those named."""
    return {
        name: baseline.restore(damaged)
        for name, baseline in BASELINES.items()
        if baseline.task == task and (name in slow or not baseline.slow)
    }
