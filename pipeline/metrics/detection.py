"""How well the damage of a picture was found, with a tolerance: no two hands would paint the same edge."""

import cv2
import numpy as np

TOLERANCE = 2.0  # px
THRESHOLD = 0.5  # of the probability that a pixel is damaged, from which on it counts as found
THRESHOLDS = np.linspace(0.95, 0.05, 19)
PROTOCOL = (
    f"Of damaged pixels, those within {TOLERANCE:g} px of a found one are found; of found pixels, those within as much "
    f"of a damaged one are right. Found is what has a probability above {THRESHOLD:g}; AP is the area under precision "
    f"by recall over {len(THRESHOLDS)} thresholds. Of each picture, and then the mean"
)


def scores(probability: np.ndarray, damage: np.ndarray) -> dict[str, float]:
    """Precision, recall, F1 and average precision of a picture.

    Args:
        probability: float HW in [0, 1], of a damaged pixel; 0 and 1 alone where a method only says yes or no.
        damage: bool HW, true somewhere.

    Returns:
        Each in [0, 1]; the precision is NaN where nothing is found.
    """
    near = _near(damage)
    precision, recall = precision_and_recall(probability > THRESHOLD, damage, near)
    return {
        "precision": precision,
        "recall": recall,
        "f1": _harmonic_mean(precision, recall),
        "ap": average_precision(probability, damage, near),
    }


def f1(found: np.ndarray, damage: np.ndarray) -> float:
    """The harmonic mean of precision and recall (bool HW both, the damage true somewhere); 0 where nothing is found."""
    return _harmonic_mean(*precision_and_recall(found, damage, _near(damage)))


def precision_and_recall(found: np.ndarray, damage: np.ndarray, near: np.ndarray) -> tuple[float, float]:
    """The share of the found pixels that are near the damage, NaN where there are none, and of the damage near them."""
    if not found.any():
        return np.nan, 0.0
    return float(near[found].mean()), float(_near(found)[damage].mean())


def average_precision(probability: np.ndarray, damage: np.ndarray, near: np.ndarray) -> float:
    """The sum over falling thresholds of the precision times what the recall rises by."""
    area = before = 0.0
    for threshold in THRESHOLDS:
        precision, recall = precision_and_recall(probability > threshold, damage, near)
        if recall > before:
            area, before = area + precision * (recall - before), recall
    return area


def _near(mask: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= TOLERANCE


def _harmonic_mean(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if recall else 0.0
