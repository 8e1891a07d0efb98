"""Scores of every restoration of the test pairs."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from itertools import tee

import cv2
import numpy as np
import pandas as pd
import torch
from PIL import Image

from pipeline.corruptions.labels import task_of
from pipeline.datasets.pairs import Pairs
from pipeline.evaluation.baselines import BASELINES, Damaged, restore_all
from pipeline.evaluation.holes import Holes
from pipeline.images.resize import resize
from pipeline.metrics.image_quality import scores
from pipeline.metrics.registry import RESTORATION
from pipeline.runtime import parallel, progress
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


@dataclass(frozen=True)
class Case:
    """A pair to restore: the damaged picture, the task that it sets, and the original (uint8 HWC)."""

    damaged: Damaged
    task: str
    target: np.ndarray

    def score(self, restored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The metrics of what each method made of it, in their order: float N each."""
        targets, masks = (np.stack([each] * len(restored)) for each in (self.target, self.damaged.mask))
        return scores(np.stack(list(restored.values())), targets, masks)


Scored = tuple[list[str], dict[str, np.ndarray], dict[str, np.ndarray]]


def score_classical(case: Case, slow: Collection[str], keep: bool) -> Scored:
    """The classical methods' names and scores of a pair and, to `keep`, their pictures; runs in a worker."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a worker has one core, and their number must not be in the last digits
    try:
        restored = restore_all(case.task, case.damaged, slow)
        return list(restored), case.score(restored), restored if keep else {}
    finally:
        torch.set_num_threads(threads)


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

    def case(self, index: int) -> Case:
        """A pair."""
        target, image, mask = self.pairs.pictures(index)
        return Case(Damaged(image, mask, self.pairs.stored(index), self.radius), task_of(self.labels[index]), target)

    def restorations(self, index: int) -> dict[str, np.ndarray]:
        """What each method makes of a pair, by name: uint8 HWC."""
        case = self.case(index)
        return restore_all(case.task, case.damaged, self.slow) | {"gan": self.gan(case.damaged)}

    def pictures(self, index: int) -> list[np.ndarray]:
        """What to show of a pair, as `TITLES` says: uint8 HWC. Of what was shrunk its pixels are seen."""
        target, small = self.pairs.target(index), self.pairs.stored(index)
        restored = self.restorations(index)
        image = resize(small, target.shape, Image.Resampling.NEAREST)
        return [image, restored[BESIDE[task_of(self.labels[index])]], restored["gan"], target]

    def scores(self, holes: Holes | None = None) -> pd.DataFrame:
        """A line for each pair and method: the columns of `pair_keys`, method and the metrics.

        The classical methods run in workers, the generator here. Pairs with a hole are shown to `holes` besides.
        """
        keys = pair_keys(self.pairs)
        tables = []
        cases, sent = tee(map(self.case, range(len(self.pairs))))
        classical = partial(score_classical, slow=self.slow, keep=bool(holes and holes.measures))
        done = progress.bar(parallel.in_processes(classical, sent), "evaluate", len(self.pairs), "pair")
        for index, (case, (methods, values, restored)) in enumerate(zip(cases, done, strict=True)):
            gan = {"gan": self.gan(case.damaged)}
            if holes and case.task == "restore":
                holes.add(restored | gan, case.target, case.damaged.mask)
            lines = keys.loc[[index] * (len(methods) + 1)].reset_index(drop=True)
            columns = {name: np.concatenate([values[name], own]) for name, own in case.score(gan).items()}
            width = width_of(case.damaged.mask)
            tables.append(lines.assign(width=width, method=[*methods, *gan], **columns))
        return pd.concat(tables, ignore_index=True).astype(dict.fromkeys(RESTORATION, float))
