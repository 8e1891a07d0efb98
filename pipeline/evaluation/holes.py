"""How real the holes look that each method has filled: the table that `evaluate.perceptual` asks for."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from pipeline.metrics.realism import PERCEPTUAL


class Holes:
    """Sees the pairs that have a hole, one after the other.

    Args:
        asked: names of `PERCEPTUAL`.

    Raises:
        UserError: what one of them needs is not there.
    """

    def __init__(self, asked: Collection[str]) -> None:
        self.measures = [PERCEPTUAL[name]() for name in asked]
        self.pairs = 0
        self.methods: list[str] = []

    def add(self, restored: dict[str, np.ndarray], target: np.ndarray, mask: np.ndarray) -> None:
        """Take a pair: what each method made of it, by name, and the original (uint8 HWC); and the mask (bool HW)."""
        self.pairs, self.methods = self.pairs + 1, list(restored)
        for measure in self.measures:
            measure.add(np.stack(list(restored.values())), target, mask)

    def table(self) -> pd.DataFrame:
        """A line a method: `method`, `pairs` and the values. No line without a measure, or a pair with a hole."""
        if not (self.measures and self.pairs):
            return pd.DataFrame(columns=["method", "pairs"])
        values = {name: each.round(4) for measure in self.measures for name, each in measure.values().items()}
        return pd.DataFrame({"method": self.methods, "pairs": self.pairs, **values})
