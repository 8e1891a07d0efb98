"""Enlarging as a task to learn: what is made of a batch, how wrong it is, and the score on val."""

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.datasets.pairs import Pairs
from pipeline.metrics.image_quality import psnr
from pipeline.networks import weights
from pipeline.training.attempt import Attempt, Validated, contrast
from pipeline.training.batches import Batch
from pipeline.training.restoring import l1_in_hole, mean_of_balanced


def attempt(enlarger: nn.Module, batch: Batch) -> Attempt:
    """Enlarge a batch: the targets and, for each factor, the same pictures so many times smaller, as tensors."""
    target, *smaller = batch
    made = torch.cat([enlarge(enlarger, small, target) for small in smaller])
    real = torch.cat([target] * len(smaller))
    whole = torch.ones_like(real[:, :1])
    errors = l1_in_hole(made, real, whole)
    return Attempt(
        loss=mean_of_balanced(errors),
        shown={"l1": errors.mean(), "contrast": contrast(made.detach(), real, whole)},
        real=(real, whole),
        made=(made, whole),
    )


def enlarge(enlarger: nn.Module, small: Tensor, target: Tensor) -> Tensor:
    """The small pictures at the size of the target, float N3HW."""
    return enlarger(small, target.shape[-1] // small.shape[-1]).float()


def validate(enlarger: nn.Module, pairs: Pairs, indices: range) -> Validated:
    """Enlarge pairs: PSNR in dB, and the picture by the bicubic filter, the enlarged and the original one."""
    scores, pictures = [], []
    for index in indices:
        (target, filtered, _), small = pairs.pictures(index), pairs.stored(index)
        made = weights.enlarge(enlarger, small, len(target) // len(small))
        scores.append(psnr(made[None], target[None]))
        pictures.append([filtered, made, target])
    return Validated(np.concatenate(scores), pictures)
