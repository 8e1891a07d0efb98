"""Batches of pairs: their order is a pure function of the seed, their contents of the seed and the step."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import cv2
import numpy as np
from torch import Tensor

from pipeline.datasets.pairs import Pairs
from pipeline.images.tensors import mask_to_tensor, to_tensor
from pipeline.priors import exemplar_fill, numpy_fill
from pipeline.runtime.environment import workers
from pipeline.runtime.parallel import in_threads

Batch = tuple[Tensor, ...]
Samples = list[tuple[int, int]]

PREFETCH = 4  # batches that are ready before they are asked for
CACHED = 2**29  # bytes of exemplar priors, of which one takes a fifth of a second to make at 128 px
Exemplars = Callable[[int], np.ndarray]  # the prior of a pair, by its index


def training_batches(
    pairs: Pairs,
    batch: int,
    crop: int,
    seed: int,
    steps: range,
    rank_slice: slice = slice(None),
    with_exemplar: bool = False,
) -> Iterator[Batch]:
    """One shuffled, augmented batch for each step, made beside the training.

    Args:
        pairs: what to draw from; every pair is drawn once before any is drawn again.
        batch: pairs a step.
        crop: side of the square that is cut from each pair, in px; 0, or no less than the picture's, takes it whole.
        seed: of the order, the turns and the crops.
        steps: the steps to yield, counted from 0 at the beginning of the training.
        rank_slice: which pairs of each batch to yield; the others are for other processes.
        with_exemplar: whether the exemplar prior of each pair is made too, which takes as long as the training.

    Yields:
        Target and damaged picture (float NCHW in [0, 1]) and mask (float N1HW, 1 where to restore); and the prior, as
        the target is, where it is asked for.
    """
    samples = (sample_indices(step, len(pairs), batch, seed)[rank_slice] for step in steps)
    load = partial(load_batch, pairs, crop, cache_exemplars(pairs) if with_exemplar else None)
    for targets, images, masks, *priors in in_threads(load, samples, workers(), PREFETCH):
        yield to_tensor(targets), to_tensor(images), mask_to_tensor(masks), *map(to_tensor, priors)


def sample_indices(step: int, count: int, batch: int, seed: int) -> Samples:
    """The index, below `count`, and the seed (below 2**32) of all other chance, of each pair of a step."""
    seeds = np.random.default_rng([seed, step]).integers(2**32, size=batch)
    positions = range(step * batch, (step + 1) * batch)
    orders = {epoch: _order(epoch, count, seed) for epoch in {position // count for position in positions}}
    indices = [orders[position // count][position % count] for position in positions]
    return list(zip(indices, seeds.tolist(), strict=True))


def _order(epoch: int, count: int, seed: int) -> list[int]:
    return np.random.default_rng([seed, epoch, count]).permutation(count).tolist()


def load_batch(pairs: Pairs, crop: int, exemplars: Exemplars | None, samples: Samples) -> list[np.ndarray]:
    """The pairs, each decoded, cropped, and turned one of the square's eight ways: uint8 NHWC twice, and bool NHW.

    With the exemplar prior, uint8 NHWC too, it is made before the crop: its patches come from all of the picture.

    A thread that used torch, or OpenCV's own threads, would take the cores from the training.
    """
    cv2.setNumThreads(1)
    loaded = []
    for index, seed in samples:
        pictures = pairs.pictures(index)
        given = [*pictures, exemplars(index)] if exemplars else [*pictures]
        loaded.append(_crop_and_augment(given, crop, np.random.default_rng(seed)))
    return [np.stack(pictures) for pictures in zip(*loaded, strict=True)]


def cache_exemplars(pairs: Pairs) -> Exemplars:
    """The exemplar prior of a pair, by its index: uint8 RGB HWC. What `CACHED` has space for is made only once."""
    return lru_cache(CACHED // (3 * pairs.size[0] * pairs.size[1]))(partial(_exemplar, pairs))


def _exemplar(pairs: Pairs, index: int) -> np.ndarray:
    _, image, mask = pairs.pictures(index)
    if mask.all():
        return image
    smooth = numpy_fill.fill("plate", image.astype(np.float32) / 255, mask)
    return (exemplar_fill.fill(smooth, mask) * 255).round().astype(np.uint8)


def _crop_and_augment(pictures: list[np.ndarray], crop: int, rng: np.random.Generator) -> list[np.ndarray]:
    mask = pictures[2]
    turn = int(rng.integers(8))
    window = crop_at_mask_edge(mask, crop, rng) if 0 < crop < min(mask.shape) else ...
    return [augment(picture[window], turn) for picture in pictures]


def crop_at_mask_edge(mask: np.ndarray, side: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """A square of `side` px with some of the edge of the hole inside it, so that it has both of known and unknown.

    Args:
        mask: bool HW, both sides at least `side`. Where it is true everywhere, any square will do.
        side: of the square, 3 or more.
        rng: draws the point of the edge, and where in the square it comes to lie.
    """
    edge = mask & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    points = np.flatnonzero(edge if edge.any() else mask)
    point = divmod(int(points[rng.integers(len(points))]), mask.shape[1])
    offsets = rng.integers(1, side - 1, 2).tolist()
    top, left = (
        min(max(at - offset, 0), length - side) for at, offset, length in zip(point, offsets, mask.shape, strict=True)
    )
    return slice(top, top + side), slice(left, left + side)


def augment(picture: np.ndarray, turn: int) -> np.ndarray:
    """The picture, or mask, HW or HWC, turned one of the square's eight ways."""
    return np.rot90(picture.swapaxes(0, 1) if turn >= 4 else picture, turn % 4)
