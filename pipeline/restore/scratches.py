"""Where thin scratches and dust may be: a heuristic of classical image analysis, to be looked at before it is used."""

import cv2
import numpy as np

WIDEST = 0.012  # of the picture's shorter side: what is thinner may be a scratch
SHORTEST = 0.04  # of that side: length of a scratch
SLENDER = 4  # times as long as wide
LARGEST_DUST = 0.015  # of that side: across
SURE, LIKELY = 5.0, 2.5  # contrast over the neighbourhood's mean: a trace has some of the first, all of the second
FAINTEST = 14  # of 255


def detect(image: np.ndarray) -> np.ndarray:
    """Propose the mask of scratches and dust.

    What is thinner than `WIDEST` and brighter or darker than all around it (the white and the black top-hat, Serra
    1982) stands out of its neighbourhood's usual contrast, and is either slender or small and round. A wire, a
    whisker or a star is all that too: it is proposed as well.

    Args:
        image: uint8 RGB HW3.

    Returns:
        bool HW.
    """
    side = min(image.shape[:2])
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(2, round(WIDEST * side)) + 1,) * 2)
    proposed = np.zeros(grey.shape, bool)
    for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        contrast = cv2.morphologyEx(grey, operation, disc)
        proposed |= _traces(contrast, side)
    return cv2.dilate(proposed.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def _traces(contrast: np.ndarray, side: int) -> np.ndarray:
    """The connected traces that stand out, and have the shape of a scratch or a speck."""
    around = max(3, side // 16) | 1
    usual = cv2.blur(contrast.astype(np.float32), (around, around))
    likely = contrast > np.maximum(FAINTEST, LIKELY * usual)
    sure = contrast > np.maximum(2 * FAINTEST, SURE * usual)
    count, labels = cv2.connectedComponents(likely.astype(np.uint8), connectivity=8)
    kept = np.zeros(count, bool)
    for label in np.unique(labels[sure & likely]):
        rows, columns = np.nonzero(labels == label)
        _, sides, _ = cv2.minAreaRect(np.stack([columns, rows], axis=1).astype(np.float32))
        length = max(sides) + 1
        width = len(rows) / length  # of a curve too, whose rectangle is wide
        scratch = length >= SHORTEST * side and length >= SLENDER * width
        kept[label] = scratch or length <= LARGEST_DUST * side
    return kept[labels]
