"""The learning rate along a training."""

import math

RAMP = 0.05  # share of the steps in which the learning rate rises to its peak, under the cosine schedule
CONSTANT_RAMP = 100  # the steps it takes under the constant schedule, whatever the length of the training


def share_of_peak(kind: str, step: int, steps: int) -> float:
    """Share of the peak learning rate at `step`: a linear rise, then it stays, or falls to zero as half a cosine.

    Under `constant` it does not depend on `steps`, so a longer training begins as a shorter one did.
    """
    ramp = CONSTANT_RAMP if kind == "constant" else max(1, round(RAMP * steps))
    if step < ramp:
        return (step + 1) / ramp
    return 1.0 if kind == "constant" else (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp))) / 2
