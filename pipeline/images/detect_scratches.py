"""Where thin scratches and dust may be: a heuristic of classical image analysis, to be looked at before it is used."""

import cv2
import numpy as np

LONGEST = 1024  # px: side at which is looked
WIDEST = 0.016  # of the picture's shorter side: what is thinner may be a scratch
STRAIGHT = 0.15  # of that side: over such a length, a scratch is a straight line
TURNS = 16  # directions that are tried
FAINTEST = 30  # of 255: contrast of a scratch to both its sides
STANDS_OUT = 4.0  # times the mean contrast around it
DUST = 4  # times as strong as a scratch must a speck be


def detect(image: np.ndarray) -> np.ndarray:
    """Propose the mask of scratches and dust.

    What is thinner than `WIDEST` and brighter or darker than both its sides (white and black top-hat, Serra 1982) is
    a scratch where it goes on in a line (opening by segments, Soille 2003, section 4.4), and dust where it is small
    and strong. A wire or a whisker is all that too: it is proposed as well.

    Args:
        image: uint8 RGB HW3.

    Returns:
        bool HW.
    """
    height, width = image.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    side = min(small.shape[:2])
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    disc = _disc(max(1, round(WIDEST * side / 2)))
    found = np.zeros(grey.shape, bool)
    for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        contrast = cv2.morphologyEx(grey, operation, disc)
        found |= _lines(contrast, side) | _specks(contrast, disc)
    found = cv2.dilate(found.astype(np.uint8), _disc(1))
    return cv2.resize(found, (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)


def _lines(contrast: np.ndarray, side: int) -> np.ndarray:
    """Where the contrast goes on in some direction, and all that is connected with it nearby."""
    straight = np.zeros_like(contrast)
    for turn in range(TURNS):
        segment = _segment(max(3, round(STRAIGHT * side)), np.pi * turn / TURNS)
        straight = np.maximum(straight, cv2.morphologyEx(contrast, cv2.MORPH_OPEN, segment))
    around = max(3, side // 6) | 1
    usual = cv2.blur(straight.astype(np.float32), (around, around))
    sure = straight > np.maximum(FAINTEST, STANDS_OUT * usual)
    near = cv2.dilate(sure.astype(np.uint8), _disc(max(2, round(WIDEST * side / 2)))) > 0
    return near & (contrast > FAINTEST / 2)


def _specks(contrast: np.ndarray, disc: np.ndarray) -> np.ndarray:
    """What is strong all by itself."""
    around = cv2.blur(contrast.astype(np.float32), (4 * disc.shape[0] + 1,) * 2)
    return contrast > np.maximum(DUST * FAINTEST, 2 * DUST * STANDS_OUT * around)


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)


def _segment(length: int, angle: float) -> np.ndarray:
    """A line through the middle of a square of zeros."""
    half = length // 2
    kernel = np.zeros((2 * half + 1,) * 2, np.uint8)
    end = round(half * np.cos(angle)), round(half * np.sin(angle))
    cv2.line(kernel, (half - end[0], half - end[1]), (half + end[0], half + end[1]), 1)
    return kernel
