"""The print was folded or torn: ragged lines from edge to edge, along which the picture has come off the paper."""

import cv2
import numpy as np

from pipeline.corruptions import strokes
from pipeline.corruptions.uniform import draw_amount, draw_count
from pipeline.params import Crease

STEPS = 64  # straight pieces of a crease
CHIPS = 12  # at most, along a crease: where more of the picture came off
PAPER = (185, 250)  # its tone


def corrupt(image: np.ndarray, rng: np.random.Generator, params: Crease) -> tuple[np.ndarray, np.ndarray]:
    """Draw creases across the picture, in which light paper shows its grain.

    Args:
        image: uint8 RGB HWC.
        rng: draws number, course and width, and the paper.
        params: number, and mean width as a share of the shorter side; no crease is thinner than a pixel.

    Returns:
        uint8 RGB HWC, and bool HW, true where a crease touches a pixel.
    """
    size = image.shape[:2]
    drawn = strokes.canvas(size)
    for _ in range(draw_count(rng, params.count)):
        width = max(1, min(size) * draw_amount(rng, params.width))
        path = _draw_path(size, width, rng)
        strokes.draw_line(drawn, path, width * np.abs(1 + 0.5 * rng.normal(size=STEPS)))
        for point in path[rng.integers(len(path), size=rng.integers(CHIPS + 1))]:
            chip = point + width * rng.normal(0, 1, (6, 2))
            cv2.fillPoly(drawn, [cv2.convexHull(strokes.on_canvas(chip).astype(np.int32))], 255)
    grain = rng.normal(0, rng.uniform(0, 8), (*size, 1))
    tone = rng.uniform(*PAPER) + rng.normal(0, 5, 3)
    touched, cover = strokes.touch(drawn)
    return strokes.blend(image, [(touched, cover, tone + grain.reshape(-1, 1)[touched])])


def _draw_path(size: tuple[int, int], width: float, rng: np.random.Generator) -> np.ndarray:
    """Points (x, y) of a bent, ragged line through a point of the picture, that leaves it on both sides."""
    bend = np.cumsum(rng.normal(0, 0.04, STEPS))
    path = strokes.walk(rng.uniform(0, 2 * np.pi) + bend, 2.2 * np.hypot(*size))
    path += rng.normal(0, 0.4 * width, path.shape)
    return path + rng.uniform(0, size[::-1]) - path[STEPS // 2]
