"""Dust lay on the film or on the glass: many small flecks, all light or all dark, and opaque."""

import cv2
import numpy as np

from pipeline.corruptions import strokes
from pipeline.corruptions.uniform import draw_count
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
    draws = rng.random((draw_count(rng, params.count), 6 + CORNERS)).T  # all at once: ten times as fast
    least, most = np.log(params.radius)
    radii = min(size) * np.exp(least + (most - least) * draws[0])
    outlines = (draws[1:3] * np.reshape(size[::-1], (2, 1)))[..., None] + _shape(np.maximum(0.5, radii), draws[3:])
    for outline in strokes.on_canvas(outlines.transpose(1, 2, 0)):
        cv2.fillPoly(drawn, [outline], 255)
    return strokes.paint(image, strokes.cover(drawn), strokes.draw_tone(rng))


def _shape(radii: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Corners of N flecks, each round the origin, in px: an uneven ellipse.

    Args:
        radii: N.
        draws: of turn, reach of each corner, tilt and squeeze, in [0, 1); each N.

    Returns:
        x and y: 2 x N x CORNERS.
    """
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False) + 2 * np.pi * draws[0][:, None]
    reach = radii[:, None] * (0.6 + (1.2 - 0.6) * draws[1 : 1 + CORNERS].T)
    tilt, squeeze = np.pi * draws[-2][:, None], 0.4 + (1 - 0.4) * draws[-1][:, None]
    x, y = reach * np.cos(angle), squeeze * reach * np.sin(angle)
    return np.stack([x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)])
