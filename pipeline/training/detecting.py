"""Detecting as a task to learn: what is made of a batch, how wrong it is, and the score on val."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.datasets.pairs import Pairs
from pipeline.metrics.detection import THRESHOLD, f1
from pipeline.networks import weights
from pipeline.networks.detector import damage_of
from pipeline.training.attempt import Attempt, Validated
from pipeline.training.batches import ANY, EITHER, Batch


def attempt(detector: nn.Module, batch: Batch) -> Attempt:
    """Find the damage of a batch: damaged pictures as a tensor, and what each pixel is, uint8 NHW (`batches`).

    The discriminator takes the picture with its true damage for real, that with the probability of damage for made.
    """
    image, classes = batch
    logits = detector(image).float()
    damage, found = ((classes > 0) & (classes != EITHER)).float().unsqueeze(1), damage_of(logits)
    return Attempt(
        loss=cross_entropy(logits, classes),
        shown={"l1": (found - damage).abs().mean()},
        real=(image, damage),
        made=(image, found),
    )


def cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """The mean over pixels of -log of the probability of what each is; of one that may be either it is 0.

    So a line that is found a pixel too wide costs nothing, as the scores have it (`pipeline.metrics.detection`).

    Args:
        logits: float NCHW.
        classes: uint8 NHW: 0 where it is sound, the number of the kind of damage, `ANY` of them, or `EITHER`.
    """
    logs = F.log_softmax(logits, 1)
    of_kind = logs.gather(1, classes.long().clamp(max=logits.shape[1] - 1).unsqueeze(1)).squeeze(1)
    of_any = logs[:, 1:].logsumexp(1)
    certain = torch.where(classes == ANY, of_any, of_kind)
    return -torch.where(classes == EITHER, 0, certain).mean()


def validate(detector: nn.Module, pairs: Pairs, indices: range) -> Validated:
    """Find the damage of pairs, without their masks: F1, and the corrupted picture, what was found, and the mask."""
    _, images, masks = pairs.batch(indices)
    found = weights.find_damage(detector, images)
    scores = [f1(each > THRESHOLD, mask) for each, mask in zip(found, masks, strict=True)]
    grey = (found * 255).round().astype(np.uint8)
    pictures = [list(row) for row in zip(images, grey, masks.astype(np.uint8) * 255, strict=True)]
    return Validated(np.array(scores), pictures)
