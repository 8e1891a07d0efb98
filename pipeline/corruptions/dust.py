"""Dust lay on the film or on the glass: many small flecks, all light or all dark, and opaque."""

import cv2
import numpy as np

from pipeline.corruptions import strokes
from pipeline.corruptions.uniform import draw_amount, draw_count
from pipeline.params import Dust

CORNERS = 9  # of a fleck's outline


def corrupt(image: np.ndarray, rng: np.random.Generator, params: Dust) -> tuple[np.ndarray, np.ndarray]:
    """Cover the picture with flecks of uneven outline, most of them small.

    Args:
        image: uint8 RGB HWC.
        rng: draws number, size, outline and place of the flecks, and their tone.
        params: number, and radius as a share of the shorter side.

    Returns:
        uint8 RGB HWC, and bool HW, true where a fleck touches a pixel.
    """
    size = image.shape[:2]
    drawn = strokes.canvas(size)
    for _ in range(draw_count(rng, params.count)):
        radius = min(size) * np.exp(draw_amount(rng, np.log(params.radius).tolist()))
        outline = rng.uniform(0, size[::-1]) + _draw_outline(max(0.5, radius), rng)
        cv2.fillPoly(drawn, [strokes.on_canvas(outline)], 255)
    return strokes.paint(image, strokes.cover(drawn), strokes.draw_tone(rng))


def _draw_outline(radius: float, rng: np.random.Generator) -> np.ndarray:
    """Corners (x, y) round the origin, in px: an uneven ellipse."""
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False) + rng.uniform(0, 2 * np.pi)
    reach = radius * rng.uniform(0.6, 1.2, CORNERS)
    tilt, squeeze = rng.uniform(0, np.pi), rng.uniform(0.4, 1)
    x, y = reach * np.cos(angle), squeeze * reach * np.sin(angle)
    return np.stack([x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)], axis=1)
