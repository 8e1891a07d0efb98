"""Painted over by hand: thick brush strokes."""

import cv2
import numpy as np

from pipeline.corruptions.uniform import draw_amount, draw_count
from pipeline.params import Freeform

ANGLE, SPREAD = 2 * np.pi / 5, 2 * np.pi / 15
WHITE, GREY = 255, 128


def corrupt(image: np.ndarray, rng: np.random.Generator, params: Freeform) -> tuple[np.ndarray, np.ndarray]:
    """Paint strokes in white or grey.

    After `brush_stroke_mask` of DeepFillv2 (Yu et al., 2019, section 3.3; JiahuiYu/generative_inpainting): a stroke
    zigzags, its pieces 2 pi / 5 up and down in turn, each give or take up to 2 pi / 15; their lengths are normal with
    mean a eighth of the diagonal and half of that as deviation; the whole is mirrored at random.

    Args:
        image: uint8 RGB HWC.
        rng: draws number, course and width of the strokes, and the tone.
        params: number, turns and width (as a share of the shorter side) of the strokes.

    Returns:
        uint8 RGB HWC, and bool HW, true under a stroke.
    """
    painted = np.zeros(image.shape[:2], np.uint8)
    for _ in range(draw_count(rng, params.count)):
        width = max(1, round(min(image.shape[:2]) * draw_amount(rng, params.width)))
        path = _draw_path(image.shape[:2], rng, params)
        cv2.polylines(painted, [path], isClosed=False, color=1, thickness=width)
    mirrored = painted[:: rng.choice([1, -1]), :: rng.choice([1, -1])]
    mask = mirrored.astype(bool)
    corrupted = image.copy()
    corrupted[mask] = rng.choice([WHITE, GREY])
    return corrupted, mask


def _draw_path(size: tuple[int, int], rng: np.random.Generator, params: Freeform) -> np.ndarray:
    """The turns of a stroke, int32 (x, y), all inside the picture."""
    turns = draw_count(rng, params.vertices)
    low, high = ANGLE - rng.uniform(0, SPREAD), ANGLE + rng.uniform(0, SPREAD)
    angle = rng.uniform(low, high, turns) * np.where(np.arange(turns) % 2, 1, -1)
    mean = np.hypot(*size) / 8
    length = np.clip(rng.normal(mean, mean / 2, turns), 0, 2 * mean)
    corner = np.array(size[::-1]) - 1
    path = [rng.integers(0, corner, endpoint=True)]
    for step in np.stack([np.cos(angle), np.sin(angle)], axis=1) * length[:, None]:
        path.append(np.clip(path[-1] + step, 0, corner))
    return np.array(path, dtype=np.int32)
