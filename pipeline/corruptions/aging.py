"""A photograph that has grown old before it is damaged: grey or toned, faded, uneven, soft and grainy.

What it has lost is not to be restored: it is part of the target too. A detector must not take it for damage.
"""

import cv2
import numpy as np

GREY, TONED = 0.6, 0.5  # of the photos, and of the grey ones
TONES = np.array(
    [(1.0, 0.86, 0.66), (0.95, 0.92, 0.84), (1.0, 0.93, 0.78), (0.9, 0.93, 1.0)]
)  # sepia, warm, tea, cyanotype
FADED = 0.5, 1.0  # of the contrast that is left
LIFTED = 0.0, 50.0  # of 255: how bright the darkest has become
UNEVEN = 0.0, 0.12  # of the light, from one side to another
SOFT = 0.0, 1.2  # px: standard deviation of the blur
GRAIN = 0.0, 9.0  # of 255: standard deviation of the noise
COARSE = 0.0, 0.9  # px: of its own blur


def age(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Make a picture look old.

    Args:
        image: uint8 RGB HWC.
        rng: draws all of it.

    Returns:
        uint8 RGB HWC.
    """
    picture = image.astype(float)  # float32 would round to other pixels on other processors
    if rng.random() < GREY:
        picture = picture @ np.array([[0.299], [0.587], [0.114]]) * np.ones(3)
        if rng.random() < TONED:
            picture *= rng.choice(TONES)
    picture = cv2.GaussianBlur(picture, (0, 0), max(0.01, rng.uniform(*SOFT)))
    picture = picture * rng.uniform(*FADED) + rng.uniform(*LIFTED)
    picture *= 1 + rng.uniform(*UNEVEN) * _draw_slope(picture.shape[:2], rng)[..., None]
    picture += _draw_grain(picture.shape[:2], rng)[..., None]
    return picture.clip(0, 255).round().astype(np.uint8)


def _draw_slope(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Light from one side, HW, from -1 to 1."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = (np.linspace(-1, 1, side) for side in size)
    slope = np.sin(angle) * y[:, None] + np.cos(angle) * x[None]
    return slope / np.abs(slope).max().clip(min=1e-9)


def _draw_grain(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    strength, width = rng.uniform(*GRAIN), max(0.01, rng.uniform(*COARSE))
    grain = cv2.GaussianBlur(rng.normal(0, 1, size), (0, 0), width)
    return strength * grain / grain.std().clip(min=1e-9)
