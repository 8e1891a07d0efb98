"""Scores of every restoration of the test pairs."""

from collections.abc import Callable, Collection

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from pipeline.corruptions.labels import task_of
from pipeline.datasets.pairs import Pairs
from pipeline.evaluation.baselines import BASELINES, Damaged, restore_all
from pipeline.evaluation.holes import Holes
from pipeline.images.resize import resize
from pipeline.metrics.image_quality import scores
from pipeline.metrics.registry import RESTORATION
from pipeline.runtime import progress
from pipeline.tasks import TASKS

BESIDE = {task: TASKS[task].baseline for task in ("restore", "superres")}  # the method that is shown beside the GAN
TITLES = ["corrupted", " / ".join(BASELINES[name].label for name in BESIDE.values()), "GAN", "original"]
LABELS = {name: baseline.label for name, baseline in BASELINES.items()} | {"gan": "GAN"}
KEYS = ("image_id", "variant", "corruption", "hole_area", "margin")


def pair_keys(pairs: Pairs) -> pd.DataFrame:
    """What is known of each pair, a line each: image_id, variant, corruption, hole_area and margin."""
    return pd.DataFrame({name: pairs.column(name) for name in KEYS})


def width_of(mask: np.ndarray) -> float:
    """How wide a mask (bool HW, true somewhere) is where it is widest, in px: twice the largest inner radius.

    A line of 1 px is 2 wide by that; NaN where all is to be restored.
    """
    if mask.all():
        return np.nan
    return float(2 * cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max())


class Comparison:
    """The generator and the classical methods, restoring the same pairs.

    Args:
        pairs: the test pairs.
        gan: the generator, as a `Baseline.restore` is.
        radius: of Telea and Navier-Stokes, in px.
        slow: those of the slow methods to run besides, by name.
    """

    def __init__(
        self,
        pairs: Pairs,
        gan: Callable[[Damaged], np.ndarray],
        radius: int,
        slow: Collection[str] = (),
    ) -> None:
        self.pairs, self.gan, self.radius, self.slow = pairs, gan, radius, slow
        self.labels = pairs.column("corruption")

    def restorations(self, index: int) -> dict[str, np.ndarray]:
        """What each method makes of a pair, by name: uint8 HWC."""
        _, image, mask = self.pairs.pictures(index)
        damaged = Damaged(image, mask, self.pairs.stored(index), self.radius)
        return restore_all(task_of(self.labels[index]), damaged, self.slow) | {"gan": self.gan(damaged)}

    def pictures(self, index: int) -> list[np.ndarray]:
        """What to show of a pair, as `TITLES` says: uint8 HWC. Of what was shrunk its pixels are seen."""
        target, small = self.pairs.target(index), self.pairs.stored(index)
        restored = self.restorations(index)
        image = resize(small, target.shape, Image.Resampling.NEAREST)
        return [image, restored[BESIDE[task_of(self.labels[index])]], restored["gan"], target]

    def scores(self, holes: Holes | None = None) -> pd.DataFrame:
        """A line for each pair and method: the columns of `pair_keys`, method and the metrics.

        Pairs with a hole are shown to `holes` besides.
        """
        keys = pair_keys(self.pairs)
        tables = []
        for index in progress.bar(range(len(self.pairs)), "evaluate", len(self.pairs), "pair"):
            target, _, mask = self.pairs.pictures(index)
            restored = self.restorations(index)
            count = len(restored)
            values = scores(np.stack(list(restored.values())), np.stack([target] * count), np.stack([mask] * count))
            if holes and task_of(self.labels[index]) == "restore":
                holes.add(restored, target, mask)
            lines = keys.loc[[index] * count].reset_index(drop=True)
            tables.append(lines.assign(width=width_of(mask), method=list(restored), **values))
        return pd.concat(tables, ignore_index=True).astype(dict.fromkeys(RESTORATION, float))
