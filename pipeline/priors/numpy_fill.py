"""The generator's priors (`pipeline.priors.torch_fill`) without PyTorch, and a single level of them for large pictures.

The numbers are those of `pipeline.priors.torch_fill`, where their reasons stand.
"""

import cv2
import numpy as np

# harmonic sweeps and biharmonic ones, a level; `none` is grey, and swept no more where it is brought to a larger size
SWEEPS = {"plate": (16, 16), "harmonic": (16, 0), "pushpull": (0, 0), "none": (0, 0)}
DAMPING = 0.6
LAPLACE = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)


def fill(prior: str, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The hole filled by a prior.

    Args:
        prior: a name in `SWEEPS`.
        image: float32 HW3 in [0, 1].
        hole: bool HW, true where to fill; not everywhere.

    Returns:
        float32 HW3 in [0, 1], equal to `image` outside the hole.

    Raises:
        KeyError: there is no such prior.
    """
    if prior not in SWEEPS:
        raise KeyError(prior)
    if prior == "none":
        return np.where(hole[..., None], np.float32(0.5), image)
    return _level(prior, image, hole).clip(0, 1)


def _level(prior: str, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    if not hole.any():
        return image
    if hole.size == 1:
        return np.zeros_like(image)
    return smooth(prior, enlarge(_level(prior, *halve(image, hole)), hole.shape), image, hole)


def halve(image: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture at half the size (rounded up): each pixel the mean of its known four, a hole where none is known."""
    known = (~hole).astype(np.float32)
    weight = average_four(known, cv2.BORDER_CONSTANT)
    total = average_four(image * known[..., None], cv2.BORDER_CONSTANT)
    return total / np.maximum(weight, 1e-6)[..., None], weight == 0


def average_four(picture: np.ndarray, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    """Half the size, rounded up; the border, as OpenCV has it, fills what is missing to an even side."""
    even = cv2.copyMakeBorder(picture, 0, picture.shape[0] % 2, 0, picture.shape[1] % 2, border)
    return (even[::2, ::2] + even[::2, 1::2] + even[1::2, ::2] + even[1::2, 1::2]) / 4


def enlarge(coarse: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A picture at twice the size, bilinear, cut to `size` (height, width)."""
    height, width = coarse.shape[:2]
    return cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)[: size[0], : size[1]]


def smooth(prior: str, start: np.ndarray, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """`start` in the hole, swept so that it meets `image`, which is all around it; float32 HW3."""
    inside = hole.astype(np.uint8)
    filled = np.where(hole[..., None], start, image)
    sweeps, biharmonic_sweeps = SWEEPS[prior]
    for _ in range(sweeps):
        cv2.copyTo(filled + _laplacian(filled) / 4, inside, filled)
    for _ in range(biharmonic_sweeps):
        cv2.copyTo(filled - DAMPING / 20 * _laplacian(_laplacian(filled)), inside, filled)
    return filled


def _laplacian(picture: np.ndarray) -> np.ndarray:
    return cv2.filter2D(picture, cv2.CV_32F, LAPLACE, borderType=cv2.BORDER_REPLICATE)
