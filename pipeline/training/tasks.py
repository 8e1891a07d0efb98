"""What a generator can learn from the pairs, and how that is done."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import nn

from pipeline.networks.registry import GENERATORS
from pipeline.training import detecting, restoring
from pipeline.training.attempt import Attempt, Validated
from pipeline.training.batches import Batch


@dataclass(frozen=True)
class TrainingTask:
    """A task.

    Attributes:
        attempt: what the generator makes of a batch.
        validate: what the averaged one makes of val pairs: targets and damaged pictures (uint8 NHWC), masks (bool NHW).
        score: what that is scored by on val, a key of `pipeline.metrics.registry.METRICS`.
        shown: the titles of the three pictures that are shown of a val pair.
    """

    attempt: Callable[[nn.Module, Batch], Attempt]
    validate: Callable[[nn.Module, np.ndarray, np.ndarray, np.ndarray], Validated]
    score: str
    shown: tuple[str, str, str]


TRAINING_TASKS = {
    "restore": TrainingTask(
        restoring.attempt, restoring.validate, score="psnr", shown=("corrupted", "restored", "original")
    ),
    "detect": TrainingTask(detecting.attempt, detecting.validate, score="f1", shown=("corrupted", "found", "damage")),
}


def task_of(design: str) -> TrainingTask:
    """The task of a design of `GENERATORS`."""
    return TRAINING_TASKS[GENERATORS[design].task]
