"""What a generator makes of a batch, in the terms that every task shares."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

FAINT = 1 / 255  # added to both contrasts, and to an error, so that flat and perfect pictures count as made well
Judged = tuple[Tensor, Tensor]
"""A picture, float N3HW in [0, 1], and a mask, float N1HW in [0, 1]: what the discriminator looks at."""


@dataclass(frozen=True)
class Attempt:
    """What was made, and how wrong it is.

    Attributes:
        loss: what the generator minimizes beside the adversarial loss.
        shown: what the curves show of it by name, such as `l1`, the mean absolute error, of 1.
        real: what the discriminator shall take for real.
        made: and what for made.
    """

    loss: Tensor
    shown: dict[str, Tensor]
    real: Judged
    made: Judged


@dataclass(frozen=True)
class Validated:
    """What was made of some val pairs.

    Attributes:
        scores: one a pair, NaN for one that has none.
        pictures: what to show of each pair, uint8 RGB HWC or grey HW.
    """

    scores: np.ndarray
    pictures: list[list[np.ndarray]]


def contrast(made: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Standard deviation of the made pixels over that of the true ones: about 1, and near 0 for a constant.

    Over the holes of all pictures at once (float NCHW, mask N1HW), a channel, then the mean of the channels.
    """
    return (_deviation(made, mask) + FAINT) / (_deviation(target, mask) + FAINT)


def _deviation(picture: Tensor, mask: Tensor) -> Tensor:
    mean = (picture * mask).sum((0, 2, 3), keepdim=True) / mask.sum()
    variance = ((picture - mean).square() * mask).sum((0, 2, 3)) / mask.sum()
    return variance.sqrt().mean()
