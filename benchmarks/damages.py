"""Damage that no generator was trained on: lettering, tears, a sticker with checks, dust; all of it opaque.

Each takes a picture (uint8 RGB HW3) and a draw, and gives the damaged picture and where it is damaged (bool HW). They
are for `python -m benchmarks.repair`; there is nothing to run here.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read(command_line.parser("python -m benchmarks.damages", __doc__))

import string

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FINE = 4  # drawn at this many times the size, so that edges are soft


def lettering(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One to three lines of text, 6 to 16 % of the shorter side high, in any colour, black or white."""
    height, width = image.shape[:2]
    size = max(6, round(min(height, width) * rng.uniform(0.06, 0.16)))
    layer = Image.new("L", (width, height))
    for _ in range(rng.integers(1, 4)):
        text = "".join(rng.choice(list(string.ascii_letters + string.digits), rng.integers(4, 18)))
        corner = rng.integers(width // 2 + 1), rng.integers(max(1, height - size))
        ImageDraw.Draw(layer).text(corner, text, fill=255, font=ImageFont.load_default(size))
    ink = rng.integers(256, size=3) if rng.random() < 0.5 else np.full(3, rng.choice([0, 255]))
    return covered(image, np.asarray(layer), ink)


def tears(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One or two ragged lines, 0.8 to 3.5 % of the shorter side wide, in which white paper shows its grain."""
    side = min(image.shape[:2])
    cover = canvas(image)
    for _ in range(rng.integers(1, 3)):
        steps = side // 4
        path = walk(image, rng, steps, side * rng.uniform(0.4, 1.1) / steps, bend=0.25)
        widths = side * rng.uniform(0.008, 0.035) * np.abs(1 + 0.4 * rng.normal(size=steps))
        for start, end, wide in zip(path[:-1], path[1:], widths, strict=False):
            cv2.line(cover, start.tolist(), end.tolist(), 255, max(1, round(wide * FINE)))
    paper = rng.uniform(190, 250) + rng.normal(0, rng.uniform(0, 8), (*image.shape[:2], 1))
    return covered(image, shrunk(cover, image), paper)


def sticker(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A rectangle with checks of two colours."""
    height, width = image.shape[:2]
    side = min(height, width)
    rows, columns = (round(side * rng.uniform(0.12, 0.4)) for _ in range(2))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    cover = np.zeros((height, width), np.uint8)
    cover[top : top + rows, left : left + columns] = 255
    y, x = np.indices((height, width)) // max(1, round(side * rng.uniform(0.012, 0.06)))
    first, second = rng.integers(256, size=(2, 3))
    return covered(image, cover, np.where(((x + y) % 2 == 1)[..., None], first, second))


def dust(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Specks of up to 3 % of the shorter side and a few hairs, bright or dark."""
    side = min(image.shape[:2])
    cover = canvas(image)
    for _ in range(rng.integers(8, 40)):
        (centre,) = walk(image, rng, 1, 0, bend=0)
        radius = FINE * side * rng.uniform(0.003, 0.014)
        axes = max(1, round(radius)), max(1, round(radius * rng.uniform(0.4, 1)))
        cv2.ellipse(cover, centre.tolist(), axes, rng.uniform(0, 180), 0, 360, 255, cv2.FILLED)
    for _ in range(rng.integers(5)):
        hair = walk(image, rng, 14, 0.01 * side, bend=0.35)
        cv2.polylines(cover, [hair], isClosed=False, color=255, thickness=max(1, round(FINE * 0.004 * side)))
    tone = rng.uniform(200, 255) if rng.random() < 0.5 else rng.uniform(0, 50)
    return covered(image, shrunk(cover, image), np.full(3, tone))


def canvas(image: np.ndarray) -> np.ndarray:
    """Nothing yet, `FINE` times the size."""
    return np.zeros((image.shape[0] * FINE, image.shape[1] * FINE), np.uint8)


def shrunk(cover: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A canvas at the picture's size."""
    return cv2.resize(cover, image.shape[1::-1], interpolation=cv2.INTER_AREA)


def walk(image: np.ndarray, rng: np.random.Generator, steps: int, length: float, bend: float) -> np.ndarray:
    """So many points (x, y) from anywhere in the picture on, each `length` px from the last; int32, on a canvas."""
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 1, steps) * bend)
    path = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1) * length, axis=0)
    return ((rng.uniform(0, image.shape[1::-1]) + path - path[0]) * FINE).astype(np.int32)


def covered(image: np.ndarray, cover: np.ndarray, paint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Paint over a picture where the cover (uint8 HW) is above 0, in full where it is 255."""
    damaged = image + (paint - image) * (cover[..., None] / 255)
    return damaged.round().clip(0, 255).astype(np.uint8), cover > 0
