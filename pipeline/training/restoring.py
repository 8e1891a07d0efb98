"""Restoring as a task to learn: what is made of a batch, how wrong it is, and the score on val."""

from torch import Tensor, nn

from pipeline.datasets.pairs import Pairs
from pipeline.metrics.image_quality import psnr
from pipeline.networks import weights
from pipeline.training import distributed
from pipeline.training.attempt import FAINT, Attempt, Validated, contrast
from pipeline.training.batches import Batch


def attempt(generator: nn.Module, batch: Batch) -> Attempt:
    """Restore a batch: target, damaged picture, mask and, for a generator on patches, the prior, as tensors."""
    target, image, mask, *start = batch
    restored = generator(image, mask, *start).float()
    errors = l1_in_hole(restored, target, mask)
    return Attempt(
        loss=mean_of_balanced(errors),
        shown={"l1": errors.mean(), "contrast": contrast(restored.detach(), target, mask)},
        real=(target, mask),
        made=(restored, mask),
    )


def validate(generator: nn.Module, pairs: Pairs, indices: range) -> Validated:
    """Restore pairs: PSNR in dB, and the corrupted, the restored and the original picture."""
    targets, images, masks = pairs.batch(indices)
    restored = weights.restore(generator, images, masks)
    pictures = [list(row) for row in zip(images, restored, targets, strict=True)]
    return Validated(psnr(restored, targets), pictures)


def l1_in_hole(restored: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error over the hole's pixels of each picture: float N, of float N3HW and a mask N1HW."""
    error = ((restored - target).abs() * mask).sum((1, 2, 3))
    return error / (3 * mask.sum((1, 2, 3)))


def mean_of_balanced(errors: Tensor) -> Tensor:
    """A mean of the pairs' errors (float N) whose gradient each pair has the same say in, whatever its error is.

    Each weighs as the inverse of its error, so the gradient is that of the mean logarithm, which PSNR is as well; in a
    plain mean a few large holes outvote all single pixels and fine scratches. The mean of the weights is 1.
    """
    weights = 1 / (errors.detach() + FAINT)
    mean = weights.mean()
    distributed.all_reduce_mean([mean])
    return (errors * weights).mean() / mean
