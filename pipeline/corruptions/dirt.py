"""Dirt, sprinkles and smut lie on the film, dense round some points or along some lines, and thin out from there."""

import cv2
import numpy as np

from pipeline.corruptions import strokes
from pipeline.corruptions.uniform import draw_amount, draw_count
from pipeline.params import Dirt

STEPS = 12  # straight pieces of a line that dirt lies along
LINES = 0.35  # of the pictures have lines, the others points
EDGE = 0.05, 0.6  # standard deviations of the noise over which a fleck's edge fades
LEAST = 0.1  # of full cover: what is fainter nobody sees


def corrupt(image: np.ndarray, rng: np.random.Generator, params: Dirt) -> tuple[np.ndarray, np.ndarray]:
    """Cover the picture where noise, raised near the points or lines, is high: flecks, blots or broken scratches.

    No published generator is followed; noise above a threshold gives outlines without a drawn shape's regularity.

    Args:
        image: uint8 RGB HWC.
        rng: draws places, noise and tone.
        params: number of points or lines; size of the noise's grain and how far the dirt reaches, as shares of the
            shorter side; and opacity.

    Returns:
        uint8 RGB HWC, and bool HW, true where dirt touches a pixel: one at least.
    """
    size, side = image.shape[:2], min(image.shape[:2])
    distance = _draw_distance(size, rng, draw_count(rng, params.count))
    grain = side * np.exp(draw_amount(rng, np.log(params.grain).tolist()))
    reach = side * np.exp(draw_amount(rng, np.log(params.reach).tolist()))
    height = _draw_noise(size, rng, max(0.4, grain)) - (distance / reach) ** 2
    level = np.quantile(height, 1 - min(0.5, rng.uniform(0.05, 0.6) * (distance < reach).mean()))
    level = min(level, height.max() - 1e-6)
    edge = rng.uniform(*EDGE)
    covered = np.clip((height - level) / edge, 0, 1) * draw_amount(rng, params.opacity)
    covered[np.unravel_index(height.argmax(), size)] = params.opacity[1]
    covered[covered < LEAST] = 0
    return strokes.paint(image, covered, _draw_tone(rng))


def _draw_distance(size: tuple[int, int], rng: np.random.Generator, count: int) -> np.ndarray:
    """How far each pixel is from the nearest point or line, float HW, in px."""
    skeleton = np.ones(size, np.uint8)
    along_lines, heading = rng.random() < LINES, rng.uniform(0, 2 * np.pi)
    for _ in range(count):
        at = rng.uniform(0, size[::-1])
        if along_lines:
            bend = np.cumsum(rng.normal(0, 0.06, STEPS)) + rng.normal(heading, 0.4)
            path = at + strokes.walk(bend, min(size) * rng.uniform(0.2, 1))
            cv2.polylines(skeleton, [path.astype(np.int32)], isClosed=False, color=0)
        else:
            skeleton[int(at[1]), int(at[0])] = 0
    if skeleton.all():  # a line that only touches the edge from outside
        skeleton[int(rng.integers(size[0])), int(rng.integers(size[1]))] = 0
    return cv2.distanceTransform(skeleton, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _draw_noise(size: tuple[int, int], rng: np.random.Generator, grain: float) -> np.ndarray:
    """Noise of one grain and half as much of four times that, float HW, standard deviation 1 each."""
    octaves = []
    for width in (grain, 4 * grain):
        noise = cv2.GaussianBlur(rng.normal(0, 1, size), (0, 0), width)
        octaves.append(noise / max(noise.std(), 1e-9))
    return octaves[0] + 0.5 * octaves[1]


def _draw_tone(rng: np.random.Generator) -> np.ndarray:
    """As of a scratch, or of any grey, float, 0 to 255."""
    if rng.random() < 0.7:
        return strokes.draw_tone(rng)
    return np.clip(rng.uniform(0, 255) + rng.normal(0, 6, 3), 0, 255)
