"""What ends a training that cannot come to any good: numbers that are not finite, or a game that is over."""

from itertools import takewhile

import torch
from torch import Tensor

from pipeline.training.curves import Curves

CAUSES = {  # in the order in which a step computes them: of two that are not finite, the first is where it began
    "l1": "generator",
    "nce": "generator",
    "contrast": "generator",
    "score_real": "discriminator",
    "score_restored": "discriminator",
    "discriminator": "discriminator",
    "penalty": "discriminator",
    "discriminator_gradient": "discriminator",
    "adversarial": "generator",
    "feature_matching": "generator",
    "generator_gradient": "generator",
}
SLOWER = {
    "generator": "set a smaller train.lr and train.muon_lr, or train.clip to 1",
    "discriminator": "set a smaller train.discriminator.lr or train.losses.penalty, or train.clip to 1",
}
WON_LOSS = 1e-3  # of the discriminator, in its own objective: its scores are saturated, or all beyond the margin
WON_STEPS = 1000
CONSTANT_CONTRAST = 0.05
CONSTANT_STEPS = 100


def find_not_finite(curves: Curves) -> tuple[int, str] | None:
    """The first step since the last point (from 1) with a loss or gradient that is not finite, and which it is.

    While all is well, only one value is copied from the device.
    """
    values = [value for values in curves.pending for value in values.values()]
    if not values or torch.stack(values).isfinite().all():
        return None
    return next(
        (step, f"{name} is {values[name].item()}; {SLOWER[network]}")
        for step, values in enumerate(curves.pending, curves.step - len(curves.pending) + 1)
        for name, network in CAUSES.items()
        if name in values and not values[name].isfinite()
    )


def find_broken_tensor(tensors: dict[str, Tensor]) -> str | None:
    """The name of the first tensor with a value that is not finite."""
    return next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)


def find_collapse(curves: Curves) -> tuple[int, str] | None:
    """The step of the last point, and what the points of the losses show to have collapsed by then.

    The discriminator has won when every point of the last `WON_STEPS` steps has its loss below `WON_LOSS`. In the
    logarithmic objectives it then gives real pictures a probability of 0.999 and more, in `hinge` it gets no gradient,
    in `lsgan` its scores are the labels. The generator gives a constant when every point of the last `CONSTANT_STEPS`
    steps has a contrast below `CONSTANT_CONTRAST`.
    """
    if _lasted(curves, "discriminator", WON_LOSS) >= WON_STEPS:
        return curves.losses[-1]["step"], (
            f"the discriminator has won: its loss is below {WON_LOSS} since {WON_STEPS} steps; "
            "raise train.losses.penalty or lower train.discriminator.lr"
        )
    if _lasted(curves, "contrast", CONSTANT_CONTRAST) >= CONSTANT_STEPS:
        return curves.losses[-1]["step"], (
            f"the generator restores everything to one colour: its contrast is below {CONSTANT_CONTRAST} since "
            f"{CONSTANT_STEPS} steps; lower train.lr, train.muon_lr or train.losses.adversarial"
        )
    return None


def _lasted(curves: Curves, name: str, below: float) -> int:
    """Steps that the last points cover in which the value is below."""
    low = list(takewhile(lambda point: name in point and point[name] < below, reversed(curves.losses)))
    before = curves.losses[: len(curves.losses) - len(low)]
    return low[0]["step"] - (before[-1]["step"] if before else 0) if low else 0
