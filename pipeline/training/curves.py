"""The curves of a training as they grow: the losses, the scores on val, and what has come since the last point."""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Self

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from torch import Tensor

from pipeline.runtime.errors import excerpt


class Saved(BaseModel):
    """What is read back: finite numbers of their own types, under known names."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Losses(Saved):
    """A point; NaN where no step since the point before had that loss."""

    step: int
    l1: float
    adversarial: float = math.nan
    feature_matching: float = math.nan
    nce: float = math.nan
    discriminator: float = math.nan
    penalty: float = math.nan
    score_real: float = math.nan
    score_restored: float = math.nan
    contrast: float = math.nan
    generator_gradient: float = math.nan
    discriminator_gradient: float = math.nan


class Score(Saved):
    """A point, with the score of one task and NaN for that of the other."""

    step: int
    psnr: float = math.nan
    f1: float = math.nan

    @model_validator(mode="after")
    def _has_one_value(self) -> Self:
        if math.isnan(self.psnr) == math.isnan(self.f1):
            raise ValueError("a score of one task")
        return self


class Numbers(Saved):
    """The numbers that `state_dict` gives."""

    step: int
    losses: list[Losses]
    scores: list[Score]
    pictures: dict[str, str]


LOSSES = [name for name in Losses.model_fields if name != "step"]
SCORES = [name for name in Score.model_fields if name != "step"]


@dataclass
class Curves:
    """How a training went, after `step` updates.

    Attributes:
        losses: a point each: its step, and the mean of each loss over the steps since the point before.
        scores: a point each: its step, and the mean over the val pairs of what the task is scored by.
        pictures: the SHA-256 of the file with the val pictures of each of these points, by its name.
        pending: what each step since the last point of `losses` gave, scalars on the training's device.
    """

    step: int = 0
    losses: list[dict[str, Any]] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)
    pending: list[dict[str, Tensor]] = field(default_factory=list)

    def add(self, values: dict[str, Tensor]) -> None:
        """Take the losses of the next step; nothing is copied from the device."""
        self.pending.append(values)
        self.step += 1

    def add_point(self) -> dict[str, float]:
        """Add the point that ends here to the losses; return its means."""
        by_name = {name: [values[name] for values in self.pending if name in values] for name in LOSSES}
        means = {name: torch.stack(values).mean().item() for name, values in by_name.items() if values}
        self.losses.append({"step": self.step} | means)
        self.pending.clear()
        return means

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The points of the losses and of the scores."""
        losses, scores = (["step", *names] for names in (LOSSES, SCORES))
        return pd.DataFrame(self.losses, columns=losses), pd.DataFrame(self.scores, columns=scores)

    def state_dict(self) -> tuple[dict[str, Any], Tensor]:
        """What `from_state_dict` takes: numbers for JSON, and float32 steps x LOSSES, NaN where there was none."""
        rows = [
            torch.stack([values.get(name, torch.full_like(values["l1"], torch.nan)) for name in LOSSES])
            for values in self.pending
        ]
        pending = torch.stack(rows) if rows else torch.empty(0, len(LOSSES))
        return {name: value for name, value in vars(self).items() if name != "pending"}, pending

    @classmethod
    def from_state_dict(cls, numbers: dict[str, Any], pending: Tensor) -> "Curves":
        """The curves that were saved, with `pending` on the device where it lies now.

        Raises:
            ValueError: they are not what `state_dict` gives.
        """
        _check(numbers, pending)
        rows = [{name: value for name, value in zip(LOSSES, row, strict=True) if not value.isnan()} for row in pending]
        return cls(**numbers, pending=rows)


def _check(numbers: dict[str, Any], pending: Tensor) -> None:
    try:
        saved = Numbers.model_validate(numbers)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{excerpt('.'.join(map(str, first['loc'])))}: {first['msg']}") from None
    losses = [0, *(point.step for point in saved.losses)]
    scores = [-1, *(point.step for point in saved.scores)]
    for steps in (losses, scores):
        if steps[-1] > saved.step or any(one >= next_one for one, next_one in pairwise(steps)):
            raise ValueError("its points are not in order")
    if pending.dtype != torch.float32 or pending.shape != (saved.step - losses[-1], len(LOSSES)):
        raise ValueError("its losses since the last point are not those of its steps")
    if not pending[:, LOSSES.index("l1")].isfinite().all() or pending.isinf().any():
        raise ValueError("its losses since the last point are not finite")
