"""Strokes with soft edges, such as scratches, hairs and creases are made of."""

import cv2
import numpy as np

FINE = 4  # drawn at this many times the size, so that widths and places are not whole pixels


def canvas(size: tuple[int, int]) -> np.ndarray:
    """Nothing yet, uint8 HW, `FINE` times the size of a picture (height, width)."""
    return np.zeros((size[0] * FINE, size[1] * FINE), np.uint8)


def cover(drawn: np.ndarray) -> np.ndarray:
    """How much of each pixel of the picture a canvas covers, float HW, 0 to 1."""
    size = drawn.shape[1] // FINE, drawn.shape[0] // FINE
    return cv2.resize(drawn, size, interpolation=cv2.INTER_AREA) / 255


def on_canvas(points: np.ndarray) -> np.ndarray:
    """Points (x, y) of the picture, float, as whole places of a canvas."""
    return np.floor(points * FINE).astype(int)


def draw_line(drawn: np.ndarray, path: np.ndarray, widths: np.ndarray) -> None:
    """Draw a line on a canvas, through points (x, y) in px of the picture, as wide in px at each as `widths` says."""
    points = on_canvas(path)
    for start, end, thickness in zip(points[:-1], points[1:], np.maximum(1, widths * FINE).round(), strict=True):
        cv2.line(drawn, start.tolist(), end.tolist(), 255, int(thickness))


def walk(headings: np.ndarray, length: float) -> np.ndarray:
    """Points (x, y) from the origin on, a step for each heading (radians), `length` px in all."""
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1) * length / len(headings)
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def paint(image: np.ndarray, covered: np.ndarray, color: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Paint over a picture, in full where the cover is 1.

    Args:
        image: uint8 RGB HWC.
        covered: float HW, 0 to 1.
        color: 0 to 255, one for all, one a channel, or one a pixel (HW1 or HWC).

    Returns:
        uint8 RGB HWC, and bool HW, true where a pixel is touched.
    """
    painted = image + (color - image) * covered[..., None]  # float64: float32 would round otherwise elsewhere
    return painted.round().clip(0, 255).astype(np.uint8), covered > 0


def draw_tone(rng: np.random.Generator) -> np.ndarray:
    """A light or a dark grey with a slight cast, float, 0 to 255."""
    grey = rng.uniform(195, 255) if rng.random() < 0.6 else rng.uniform(0, 60)
    return np.clip(grey + rng.normal(0, 6, 3), 0, 255)
