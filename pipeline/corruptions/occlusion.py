"""Something lies in front: rectangles and ellipses, filled."""

import numpy as np

from pipeline.corruptions.uniform import draw_amount, draw_count
from pipeline.params import Occlusion


def corrupt(image: np.ndarray, rng: np.random.Generator, params: Occlusion) -> tuple[np.ndarray, np.ndarray]:
    """Cover the picture with shapes that lie inside it; where they overlap, the later one is seen.

    LaMa's boxes (Suvorov et al., 2022; `make_random_rectangle_mask` of saicinpainting/training/data/masks.py) are 30
    to 100 px of 256, up to 3 of them; the ranges of `params` start from these.

    Args:
        image: uint8 RGB HWC.
        rng: draws number, kind, size, place and fill of the shapes.
        params: number, side (as a share of the picture's) and fills.

    Returns:
        uint8 RGB HWC, and bool HW, true under a shape.
    """
    corrupted = image.copy()
    mask = np.zeros(image.shape[:2], bool)
    for _ in range(draw_count(rng, params.count)):
        shape = _draw_shape(image.shape[:2], rng, params)
        fill = _draw_fill(image, rng, rng.choice(params.fills))
        corrupted[shape] = fill[shape]
        mask |= shape
    return corrupted, mask


def _draw_shape(size: tuple[int, int], rng: np.random.Generator, params: Occlusion) -> np.ndarray:
    shape = np.zeros(size, bool)
    height, width = (max(1, round(side * draw_amount(rng, params.side))) for side in size)
    top, left = rng.integers(size[0] - height + 1), rng.integers(size[1] - width + 1)
    y, x = np.ogrid[:height, :width]
    ellipse = ((2 * y + 1) / height - 1) ** 2 + ((2 * x + 1) / width - 1) ** 2 <= 1
    shape[top : top + height, left : left + width] = ellipse if rng.random() < 0.5 else True
    return shape


def _draw_fill(image: np.ndarray, rng: np.random.Generator, kind: str) -> np.ndarray:
    match kind:
        case "constant":
            return np.broadcast_to(_draw_color(rng), image.shape)
        case "noise":
            return rng.integers(256, size=image.shape, dtype=np.uint8)
        case _:
            return _shift(image, rng) if rng.random() < 0.5 else _draw_pattern(image, rng)


def _shift(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture itself, shifted by a quarter to three quarters each way."""
    shift = [round(side * rng.uniform(0.25, 0.75)) for side in image.shape[:2]]
    return np.roll(image, shift, axis=(0, 1))


def _draw_pattern(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Slanted stripes, or checks, of two colours."""
    y, x = np.indices(image.shape[:2])
    pitch = max(1.0, min(image.shape[:2]) * rng.uniform(0.02, 0.08))
    angle = rng.uniform(0, np.pi)
    across = np.floor((x * np.cos(angle) + y * np.sin(angle)) / pitch)
    along = np.floor((y * np.cos(angle) - x * np.sin(angle)) / pitch)
    second = (across + along * (rng.random() < 0.5)) % 2 == 1
    return np.where(second[..., None], _draw_color(rng), _draw_color(rng))


def _draw_color(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(256, size=3, dtype=np.uint8)
