"""Hairs and fibres lay on the film or on the glass: thin, curled and opaque."""

import numpy as np

from pipeline.corruptions import strokes
from pipeline.corruptions.uniform import draw_amount, draw_count
from pipeline.params import Hair

STEPS = 48  # straight pieces of a hair
CURL = 4.0  # radians that a hair turns by in all, at most, one way
WANDER = 0.12  # radians, the deviation of each piece's own turn


def corrupt(image: np.ndarray, rng: np.random.Generator, params: Hair) -> tuple[np.ndarray, np.ndarray]:
    """Cover the picture with curled lines of even width, all of one tone.

    Args:
        image: uint8 RGB HWC.
        rng: draws number, course, width and tone.
        params: number, length and width of the hairs, the last two as a share of the shorter side; no hair is thinner
            than half a pixel.

    Returns:
        uint8 RGB HWC, and bool HW, true where a hair touches a pixel.
    """
    size, side = image.shape[:2], min(image.shape[:2])
    drawn = strokes.canvas(size)
    for _ in range(draw_count(rng, params.count)):
        turns = rng.uniform(-CURL, CURL) / STEPS + rng.normal(0, WANDER, STEPS)
        path = strokes.walk(rng.uniform(0, 2 * np.pi) + np.cumsum(turns), side * draw_amount(rng, params.length))
        path += rng.uniform(0, size[::-1]) - path[STEPS // 2]
        strokes.draw_line(drawn, path, np.full(STEPS, max(0.5, side * draw_amount(rng, params.width))))
    return strokes.paint(image, strokes.cover(drawn), strokes.draw_tone(rng))
