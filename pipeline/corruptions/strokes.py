"""Strokes with soft edges, such as scratches, hairs and creases are made of."""

from collections.abc import Sequence

import cv2
import numpy as np

FINE = 4  # drawn at this many times the size, so that widths and places are not whole pixels


def canvas(size: tuple[int, int]) -> np.ndarray:
    """Nothing yet, uint8 HW, `FINE` times the size of a picture (height, width)."""
    return np.zeros((size[0] * FINE, size[1] * FINE), np.uint8)


def cover(drawn: np.ndarray) -> np.ndarray:
    """How much of each pixel of the picture a canvas covers, float HW, 0 to 1."""
    covered = np.zeros((drawn.shape[0] // FINE, drawn.shape[1] // FINE))
    at, values = touch(drawn)
    covered.ravel()[at] = values
    return covered


def touch(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of the picture that a canvas touches, int N as `np.flatnonzero` gives them; how much, 0 to 1."""
    left, top, width, height = cv2.boundingRect(drawn)  # most of it is empty, and to shrink it all takes longest
    rows, columns = (slice(at // FINE, -(-(at + side) // FINE)) for at, side in ((top, height), (left, width)))
    touched = drawn[rows.start * FINE : rows.stop * FINE, columns.start * FINE : columns.stop * FINE]
    if not width:
        return np.empty(0, np.intp), np.empty(0)
    size = columns.stop - columns.start, rows.stop - rows.start
    shrunk = cv2.resize(touched, size, interpolation=cv2.INTER_AREA)
    at = np.flatnonzero(shrunk)
    y, x = np.divmod(at, size[0])
    return (y + rows.start) * (drawn.shape[1] // FINE) + x + columns.start, shrunk.ravel()[at] / 255


def on_canvas(points: np.ndarray) -> np.ndarray:
    """Points (x, y) of the picture, float, as whole places of a canvas."""
    return np.floor(points * FINE).astype(int)


def draw_line(drawn: np.ndarray, path: np.ndarray, widths: np.ndarray) -> None:
    """Draw a line on a canvas, through points (x, y) in px of the picture, as wide in px at each as `widths` says."""
    points = on_canvas(path).tolist()
    thicknesses = np.maximum(1, widths * FINE).round().astype(int).tolist()
    for start, end, thickness in zip(points[:-1], points[1:], thicknesses, strict=True):
        cv2.line(drawn, start, end, 255, thickness)


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
    return blend(image, [(at := np.flatnonzero(covered), covered.ravel()[at], color)])


def blend(
    image: np.ndarray, layers: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray | float]]
) -> tuple[np.ndarray, np.ndarray]:
    """Lay colours over a picture, one after another; only touched pixels are worked on, and rounded once.

    Args:
        image: uint8 RGB HWC.
        layers: of each its touched pixels (int N, as `np.flatnonzero` gives them), its opacity there (float N, 0 to
            1), and its colour as `paint` takes it, or one a touched pixel (N x 3).

    Returns:
        As `paint`.
    """
    mask = np.zeros(image.shape[:2], bool)
    for at, _, _ in layers:
        mask.ravel()[at] = True
    touched = np.flatnonzero(mask)
    place = np.empty(mask.size, np.intp)
    place[touched] = np.arange(len(touched))
    blended = image.reshape(-1, 3)[touched].astype(float)  # float32 would round to other pixels on other processors
    for at, opacity, color in layers:
        below = blended[place[at]]
        above = np.broadcast_to(color, image.shape).reshape(-1, 3)[at] if np.ndim(color) == 3 else color
        blended[place[at]] = below + (above - below) * opacity[:, None]
    painted = image.copy()
    painted.reshape(-1, 3)[touched] = blended.round().clip(0, 255)
    return painted, mask


def draw_tone(rng: np.random.Generator) -> np.ndarray:
    """A light or a dark grey with a slight cast, float, 0 to 255."""
    grey = rng.uniform(195, 255) if rng.random() < 0.6 else rng.uniform(0, 60)
    return np.clip(grey + rng.normal(0, 6, 3), 0, 255)
