"""The surface is scratched: thin polylines and arcs, bright or dark."""

import numpy as np

from pipeline.corruptions import strokes
from pipeline.corruptions.uniform import draw_amount, draw_count
from pipeline.params import Scratch

STEPS = 24  # straight pieces of a scratch


def corrupt(image: np.ndarray, rng: np.random.Generator, params: Scratch) -> tuple[np.ndarray, np.ndarray]:
    """Draw scratches in any direction, each through a random point of the picture, of slightly varying width.

    No published generator is followed; a scratch of film or print is thin, long, nearly straight and nearly grey, and
    lets little of the picture through.

    Args:
        image: uint8 RGB HWC.
        rng: draws number, course, width and tone.
        params: number, length and width of the scratches, the last two as a share of the shorter side, and opacity;
            no scratch is thinner than a pixel.

    Returns:
        uint8 RGB HWC, and bool HW, true where a scratch touches a pixel.
    """
    layers = []
    for _ in range(draw_count(rng, params.count)):
        touched, cover = strokes.touch(_draw_scratch(image.shape[:2], rng, params))
        layers.append((touched, cover * draw_amount(rng, params.opacity), strokes.draw_tone(rng)))
    return strokes.blend(image, layers)


def _draw_scratch(size: tuple[int, int], rng: np.random.Generator, params: Scratch) -> np.ndarray:
    """A canvas with a scratch."""
    side = min(size)
    path = _draw_path(side * draw_amount(rng, params.length), rng)
    path += rng.uniform(0, size[::-1]) - path[rng.integers(len(path))]
    drawn = strokes.canvas(size)
    strokes.draw_line(drawn, path, max(1, side * draw_amount(rng, params.width)) * _draw_width(rng))
    return drawn


def _draw_path(length: float, rng: np.random.Generator) -> np.ndarray:
    """Points (x, y) of an arc of up to a sixth of a circle, or of a polyline of a kink or two."""
    turns = np.full(STEPS, rng.uniform(-1, 1) / STEPS)
    if rng.random() < 0.5:
        turns = np.where(rng.random(STEPS) < 1.5 / STEPS, rng.normal(0, 0.35, STEPS), 0)
    headings = rng.uniform(0, 2 * np.pi) + np.cumsum(turns + rng.normal(0, 0.02, STEPS))
    return strokes.walk(headings, length)


def _draw_width(rng: np.random.Generator) -> np.ndarray:
    """Width along the way, relative to the widest: a slow wave, and thinner towards the ends."""
    at = np.linspace(0, 1, STEPS)
    wave = 0.8 + 0.2 * np.sin(2 * np.pi * (rng.uniform(0.5, 3) * at + rng.random()))
    return wave * np.minimum(1, 0.3 + 4 * np.minimum(at, 1 - at))
