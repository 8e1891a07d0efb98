"""What a generator can learn from the pairs, and how that is done."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from pipeline.datasets.pairs import Pairs
from pipeline.networks.registry import GENERATORS
from pipeline.training import detecting, enlarging, restoring, translating
from pipeline.training.attempt import Attempt, Validated


@dataclass(frozen=True)
class TrainingTask:
    """A task.

    Attributes:
        attempt: what the generator makes of a batch, `attempt(generator, batch)`; what it `weighs` comes besides.
        validate: what the averaged one makes of those of the val pairs.
        score: what that is scored by on val, a key of `pipeline.metrics.registry.METRICS`.
        shown: the titles of the three pictures that are shown of a val pair.
        weighs: those of `train.losses` that are weights within its own loss.
    """

    attempt: Callable[..., Attempt]
    validate: Callable[[nn.Module, Pairs, range], Validated]
    score: str
    shown: tuple[str, str, str]
    weighs: tuple[str, ...] = ()


TRAINING_TASKS = {
    "restore": TrainingTask(
        restoring.attempt, restoring.validate, score="psnr", shown=("corrupted", "restored", "original")
    ),
    "superres": TrainingTask(
        enlarging.attempt, enlarging.validate, score="psnr", shown=("bicubic", "enlarged", "original")
    ),
    "detect": TrainingTask(detecting.attempt, detecting.validate, score="f1", shown=("corrupted", "found", "damage")),
    "translate": TrainingTask(
        translating.attempt,
        translating.validate,
        score="psnr",
        shown=("picture", "translated", "second domain"),
        weighs=("identity",),
    ),
}


def task_of(design: str) -> TrainingTask:
    """The task of a design of `GENERATORS`."""
    return TRAINING_TASKS[GENERATORS[design].task]
