"""The curves of a training as they grow: the losses, the scores on val, and what has come since the last point."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Tensor

LOSSES = ["l1", "adversarial", "discriminator", "penalty", "score_real", "score_restored"]
LOSSES += ["contrast", "generator_gradient", "discriminator_gradient"]


@dataclass
class Curves:
    """How a training went, after `step` updates.

    Attributes:
        losses: a point each: its step, and the mean of each loss over the steps since the point before.
        scores: a point each: its step, and the PSNR on val in dB.
        pictures: the SHA-256 of the file with the val pictures of each of these points, by its name.
        recent: what each step since the last point of `losses` gave, scalars on the training's device.
    """

    step: int = 0
    losses: list[dict[str, Any]] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)
    recent: list[dict[str, Tensor]] = field(default_factory=list)

    def add(self, values: dict[str, Tensor]) -> None:
        """Take the losses of the next step; nothing is copied from the device."""
        self.recent.append(values)
        self.step += 1

    def point(self) -> dict[str, float]:
        """End the point; return its means."""
        by_name = {name: [values[name] for values in self.recent if name in values] for name in LOSSES}
        means = {name: torch.stack(values).mean().item() for name, values in by_name.items() if values}
        self.losses.append({"step": self.step} | means)
        self.recent.clear()
        return means

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The points of the losses and of the scores."""
        return pd.DataFrame(self.losses, columns=["step", *LOSSES]), pd.DataFrame(self.scores, columns=["step", "psnr"])

    def pack(self) -> tuple[dict[str, Any], Tensor]:
        """What `unpack` takes: numbers for JSON, and float32 `recent`, steps x LOSSES, NaN where there was none."""
        rows = [
            torch.stack([values.get(name, torch.full_like(values["l1"], torch.nan)) for name in LOSSES])
            for values in self.recent
        ]
        recent = torch.stack(rows) if rows else torch.empty(0, len(LOSSES))
        return {name: value for name, value in vars(self).items() if name != "recent"}, recent

    @classmethod
    def unpack(cls, numbers: dict[str, Any], recent: Tensor) -> "Curves":
        """The curves that were packed, with `recent` where it lies now."""
        rows = [{name: value for name, value in zip(LOSSES, row, strict=True) if not value.isnan()} for row in recent]
        return cls(**numbers, recent=rows)
