"""Too few pixels, as pictures come: shrunk by any filter, blurred, noisy and compressed, some of them twice.

The order of the second-order degradation of Real-ESRGAN (Wang et al. 2021, section 3.2): blur, shrink, noise, JPEG, and
again. The shares and bounds are our own, milder: of a photograph that was kept with some care.
"""

import io

import cv2
import numpy as np
from PIL import Image

from pipeline.images.resize import resize, shrunk_size

TWICE = 0.3  # of the pictures
FILTERS = {"bicubic": 0.35, "box": 0.2, "lanczos": 0.1, "gaussian": 0.2, "camera": 0.15}  # share of the pictures
WIDTH = 0.25, 0.7  # standard deviation of the Gaussian filter, in px of the small picture
DEFOCUS = 0.3, 0.9  # radius of the camera's disc, in px of the small picture
NOISY, NOISE, GREY = 0.5, (0.5, 8.0), 0.4  # of the pictures; standard deviation, of 255; of the noise without colour
COMPRESSED, QUALITIES, FULL_COLOR = 0.7, (60, 96), 0.4  # of the pictures; JPEG's; of them without subsampled colour


def corrupt(image: np.ndarray, factor: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Shrink by a factor, with what else happens to a picture on its way.

    Args:
        image: uint8 RGB HWC.
        factor: how many times smaller.
        rng: draws filter, blur, noise and quality.

    Returns:
        uint8 RGB HWC, the small picture; and bool HW of the size that `image` has, true everywhere.
    """
    size = shrunk_size(image.shape, factor)
    picture = image
    if rng.random() < TWICE:
        picture = _degrade(picture, shrunk_size(image.shape, rng.uniform(1, factor)), rng)
    return _degrade(picture, size, rng), np.ones(image.shape[:2], bool)


def _degrade(picture: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    small = _shrink(picture, size, rng)
    if rng.random() < NOISY:
        noise = rng.normal(0, rng.uniform(*NOISE), (*size, 1 if rng.random() < GREY else 3))
        small = (small + noise).round().clip(0, 255).astype(np.uint8)
    return _compress(small, rng) if rng.random() < COMPRESSED else small


def _shrink(picture: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    ratio = picture.shape[0] / size[0]
    match str(rng.choice([*FILTERS], p=[*FILTERS.values()])):
        case "box":
            return resize(picture, size, Image.Resampling.BOX)
        case "lanczos":
            return resize(picture, size, Image.Resampling.LANCZOS)
        case "gaussian":
            blurred = cv2.GaussianBlur(picture, (0, 0), ratio * rng.uniform(*WIDTH))
            return cv2.resize(blurred, size[::-1], interpolation=cv2.INTER_LINEAR)
        case "camera":
            picture = cv2.filter2D(picture, -1, _disc(ratio * rng.uniform(*DEFOCUS)))
    return resize(picture, size, Image.Resampling.BICUBIC)


def _disc(radius: float) -> np.ndarray:
    """A camera's blur out of focus, float HW with the sum 1: a disc whose edge is a pixel soft."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return disc / disc.sum()


def _compress(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    compressed = io.BytesIO()
    subsampling = 0 if rng.random() < FULL_COLOR else 2
    Image.fromarray(picture).save(compressed, "JPEG", quality=int(rng.integers(*QUALITIES)), subsampling=subsampling)
    return np.array(Image.open(compressed))
