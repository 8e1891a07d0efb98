"""Something was spilt: soft tinted blotches through which the picture shines."""

import cv2
import numpy as np

from pipeline.corruptions import strokes
from pipeline.corruptions.uniform import draw_amount, draw_count
from pipeline.params import Stain

TINTS = np.array(
    [
        (92, 58, 28),  # coffee
        (176, 136, 72),  # tea
        (196, 172, 96),  # yellowed glue
        (140, 66, 28),  # rust
        (110, 24, 44),  # wine
        (34, 40, 92),  # ink
        (36, 34, 30),  # oil
        (92, 104, 62),  # mould
        (225, 220, 205),  # bleach
    ],
    float,
)
FAINTEST = 0.04  # opacity below which nobody would see a change: there the picture is left alone
WAVES = 7
ANGLES = np.linspace(-np.pi, np.pi, 257)


def corrupt(image: np.ndarray, rng: np.random.Generator, params: Stain) -> tuple[np.ndarray, np.ndarray]:
    """Blend blotches over the picture, `(1 - opacity) * image + opacity * tint`.

    A blotch's outline is a circle whose radius is a random Fourier series of the angle; its opacity falls softly at
    the rim, which is a little darker than the inside, as pigment dries, and varies in clouds.

    Args:
        image: uint8 RGB HWC.
        rng: draws number, outline, tint and opacity.
        params: number, mean radius (as a share of the shorter side) and opacity at the heart.

    Returns:
        uint8 RGB HWC, and bool HW, true where a blotch has any opacity.
    """
    layers = []
    for _ in range(draw_count(rng, params.count)):
        opacity = _draw_opacity(image.shape[:2], rng, params)
        tint = np.clip(rng.choice(TINTS) + rng.normal(0, 10, 3), 0, 255)
        layers.append((at := np.flatnonzero(opacity), opacity.ravel()[at], tint))
    return strokes.blend(image, layers)


def _draw_opacity(size: tuple[int, int], rng: np.random.Generator, params: Stain) -> np.ndarray:
    """Of one blotch, HW, 0 to 1."""
    radius = max(1, min(size) * draw_amount(rng, params.radius))
    center = rng.integers(size[0]), rng.integers(size[1])
    outline = radius * _draw_outline(rng)
    window = tuple(  # beyond it the picture is left alone
        slice(max(0, int(at - outline.max())), min(side, int(at + outline.max()) + 2))
        for at, side in zip(center, size, strict=True)
    )
    y, x = (np.arange(side)[part] - at for part, at, side in zip(window, center, size, strict=True))
    reach = np.interp(np.arctan2(y[:, None], x[None]), ANGLES, outline)
    depth = 1 - np.hypot(y[:, None], x[None]) / reach  # 1 at the heart, 0 at the outline
    rim = np.exp(-(((depth - 0.15) / 0.08) ** 2))
    body = np.clip(depth / rng.uniform(0.1, 0.35), 0, 1)
    strength = draw_amount(rng, params.opacity) * body * (_draw_clouds(size, radius, rng)[window] + 0.25 * rim)
    opacity = np.zeros(size)
    opacity[window] = np.where(strength < FAINTEST, 0, np.minimum(strength, 1))
    return opacity


def _draw_outline(rng: np.random.Generator) -> np.ndarray:
    """The radius at each of `ANGLES`, relative to its mean: waves, the quicker the smaller."""
    order = np.arange(1, WAVES + 1)
    size, phase = rng.normal(0, 0.22 / order**0.8), rng.uniform(0, 2 * np.pi, WAVES)
    return np.maximum(0.3, 1 + np.cos(np.outer(ANGLES, order) + phase) @ size)


def _draw_clouds(size: tuple[int, int], radius: float, rng: np.random.Generator) -> np.ndarray:
    """Soft noise between 0.55 and 1 whose grain is half the blotch's radius."""
    cells = [max(2, round(2 * side / radius)) for side in size]
    coarse = rng.uniform(0.55, 1, cells)
    return np.clip(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), 0.55, 1)
