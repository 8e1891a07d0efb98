"""Scores of every detection of the test pairs' damage."""

from collections.abc import Callable

import cv2
import numpy as np
import pandas as pd

from pipeline.datasets.pairs import Pairs
from pipeline.evaluation.comparison import pair_keys, width_of
from pipeline.images import detect_scratches
from pipeline.metrics import detection
from pipeline.metrics.registry import DETECTION
from pipeline.runtime import progress
from pipeline.tasks import TASKS

Find = Callable[[np.ndarray], np.ndarray]
"""A picture, uint8 RGB HWC -> the probability that each pixel is damaged, float HW in [0, 1]."""
RADIUS = 3  # px: what is thinner than twice as much stands out from a morphological opening
FAINTEST = 30  # of 255: contrast from which on it counts as found
MISSED, FALSE, RIGHT = (235, 64, 52), (255, 0, 255), (60, 190, 80)


def heuristic(image: np.ndarray) -> np.ndarray:
    """`detect_scratches`, which says yes or no."""
    return detect_scratches.detect(image).astype(np.float32)


def top_hat(image: np.ndarray) -> np.ndarray:
    """How much a pixel is brighter or darker than all that a disc fits into: white and black top-hat (Serra 1982)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RADIUS + 1,) * 2)
    hats = [cv2.morphologyEx(grey, operation, disc) for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)]
    return np.minimum(1, np.maximum(*hats) * (detection.THRESHOLD / FAINTEST)).astype(np.float32)


CLASSICAL: dict[str, Find] = {"heuristic": heuristic, "top_hat": top_hat}
BESIDE = TASKS["detect"].baseline  # is shown beside the detector
TITLES = ["corrupted", f"{BESIDE}: right, false, missed", "detector", "damage"]
LABELS = {"heuristic": "heuristic", "top_hat": "top-hat", "detector": "detector"}


class Detections:
    """The detector and the classical methods, finding the damage of the same pairs.

    Args:
        pairs: the test pairs.
        detector: the trained one.
    """

    def __init__(self, pairs: Pairs, detector: Find) -> None:
        self.pairs, self.methods = pairs, CLASSICAL | {"detector": detector}
        self.labels = pairs.column("corruption")

    def pictures(self, index: int) -> list[np.ndarray]:
        """What to show of a pair, as `TITLES` says: uint8 HWC, and HW."""
        _, image, mask = self.pairs.pictures(index)
        marked = [mark(image, self.methods[name](image) > detection.THRESHOLD, mask) for name in (BESIDE, "detector")]
        return [image, *marked, mask.astype(np.uint8) * 255]

    def scores(self) -> pd.DataFrame:
        """A line for each pair and method: the columns of `comparison.pair_keys`, method and the metrics."""
        keys = pair_keys(self.pairs)
        lines = []
        for index in progress.bar(range(len(self.pairs)), "evaluate", len(self.pairs), "pair"):
            _, image, mask = self.pairs.pictures(index)
            known = keys.loc[index].to_dict() | {"width": width_of(mask)}
            for name, find in self.methods.items():
                lines.append(known | {"method": name} | detection.scores(find(image), mask))
        return pd.DataFrame(lines).astype(dict.fromkeys(DETECTION, float))


def mark(image: np.ndarray, found: np.ndarray, damage: np.ndarray) -> np.ndarray:
    """The picture in grey, and in colours what was found rightly, what falsely, and what was missed: uint8 HWC."""
    shown = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) // 2 + 64, cv2.COLOR_GRAY2RGB)
    for where, colour in ((found & damage, RIGHT), (found & ~damage, FALSE), (damage & ~found, MISSED)):
        shown[where] = colour
    return shown
