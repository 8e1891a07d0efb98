"""Batches of pairs: their order is a pure function of the seed, their contents of the seed and the step."""

import io
from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pipeline.corruptions import degraded, lowres
from pipeline.corruptions.fresh_pairs import FreshPairs
from pipeline.corruptions.labels import DAMAGE, name_of
from pipeline.datasets.pairs import Pairs
from pipeline.images.tensors import mask_to_tensor, to_tensor
from pipeline.networks.enlarger import FACTORS, STRIDE
from pipeline.networks.registry import GENERATORS
from pipeline.params import Train
from pipeline.priors import exemplar_fill, numpy_fill
from pipeline.runtime.environment import workers
from pipeline.runtime.parallel import in_processes_here, in_threads
from pipeline.tasks import DAMAGES

Batch = tuple[Tensor, ...]
Samples = list[tuple[int, int]]

PREFETCH = 4  # batches that are ready before they are asked for
CACHED = 2**29  # bytes of exemplar priors, of which one takes a fifth of a second to make at 128 px
ANY, EITHER = 255, 254  # what a damaged pixel is, where that is not known; what is damaged or not, at the edge
UNDAMAGED, FAINT, SOFT, GRAINY, COMPRESSED = 0.3, 0.5, 0.4, 0.5, 0.5  # of the pictures that a detector learns from
STRENGTH = 0.25, 1.0  # of the change that damage makes, where it is faint
BLUR = 0.3, 1.5  # px: standard deviation of its blur, where it is soft
SEEN = 8  # of 255: the change from which on a pixel round soft damage is damaged too
GRAIN = 0.0, 7.0  # of 255: standard deviation of the noise over all
QUALITIES = 60, 96  # of JPEG
SHRINK = {"lowres": lowres.corrupt, "degraded": degraded.corrupt}  # what an enlarger learns from
Exemplars = Callable[[int], np.ndarray]  # the prior of a pair, by its index


def training_batches(
    pairs: Pairs | FreshPairs, params: Train, steps: range, rank_slice: slice = slice(None)
) -> Iterator[Batch]:
    """One shuffled, augmented batch for each step, made beside the training.

    Args:
        pairs: what to draw from; every pair is drawn once before any is drawn again. Of fresh ones each epoch has its
            own, made in processes beside this one.
        params: the pairs a step, the side of the square that is cut from each (0, or no less than the picture's, takes
            it whole), the seed of all chance, and the generator: what it learns, and from which prior.
        steps: the steps to yield, counted from 0 at the beginning of the training.
        rank_slice: which pairs of each batch to yield; the others are for other processes.

    Yields:
        To enlarge: target (float N3HW in [0, 1]) and, for each factor of `FACTORS`, the same so many times smaller. To
        restore: target and damaged picture (float N3HW in [0, 1]), mask (float N1HW, 1 where to restore) and, for a
        prior of patches, which take as long as the training, the prior as the target is. To detect: picture (float N3HW
        in [0, 1]) and what each of its pixels is (uint8 NHW), as `load_damage` says. To translate: pictures of the
        first domain and of the second, both float N3HW in [0, 1].
    """
    load: Callable[[Samples], list[np.ndarray]]
    match GENERATORS[params.generator.design].task:
        case "detect" if isinstance(pairs, Pairs):
            load = partial(load_damage, pairs, params.crop, classes_of(pairs))
        case "superres":
            load = partial(load_shrunk, pairs, params.crop)
        case "translate" if isinstance(pairs, Pairs):
            load = partial(load_unpaired, pairs, params.crop)
        case "restore":
            exemplars = cache_exemplars(pairs) if params.generator.takes_exemplar else None
            if exemplars and isinstance(pairs, FreshPairs):
                exemplars = partial(_exemplar, pairs)  # none comes again
            load = partial(load_batch, pairs, params.crop, exemplars)
    samples = (sample_indices(step, len(pairs), params.batch, params.seed)[rank_slice] for step in steps)
    if isinstance(pairs, FreshPairs):
        numbered = (number_fresh(step, len(pairs), params.batch, params.seed)[rank_slice] for step in steps)
        loaded = in_processes_here(load, numbered, max(PREFETCH, workers()))
    else:
        loaded = in_threads(load, samples, workers(), PREFETCH)
    for arrays in loaded:
        yield tuple(map(_as_tensor, arrays))


def _as_tensor(array: np.ndarray) -> Tensor:
    if array.ndim == 4:
        return to_tensor(array)
    return mask_to_tensor(array) if array.dtype == bool else torch.from_numpy(array)


def sample_indices(step: int, count: int, batch: int, seed: int) -> Samples:
    """The index, below `count`, and the seed (below 2**32) of all other chance, of each pair of a step."""
    seeds = np.random.default_rng([seed, step]).integers(2**32, size=batch)
    positions = range(step * batch, (step + 1) * batch)
    orders = {epoch: _order(epoch, count, seed) for epoch in {position // count for position in positions}}
    indices = [orders[position // count][position % count] for position in positions]
    return list(zip(indices, seeds.tolist(), strict=True))


def number_fresh(step: int, count: int, batch: int, seed: int) -> Samples:
    """`sample_indices`, where the index of a pair is its number among the fresh ones: the variant is the epoch."""
    positions = range(step * batch, (step + 1) * batch)
    samples = sample_indices(step, count, batch, seed)
    return [(at // count * count + index, own) for at, (index, own) in zip(positions, samples, strict=True)]


def _order(epoch: int, count: int, seed: int) -> list[int]:
    return np.random.default_rng([seed, epoch, count]).permutation(count).tolist()


def load_batch(pairs: Pairs | FreshPairs, crop: int, exemplars: Exemplars | None, samples: Samples) -> list[np.ndarray]:
    """The pairs, each decoded, cropped, and turned one of the square's eight ways: uint8 NHWC twice, and bool NHW.

    With the exemplar prior, uint8 NHWC too, it is made before the crop: its patches come from all of the picture.

    A thread that used torch, or OpenCV's own threads, would take the cores from the training.
    """
    cv2.setNumThreads(1)
    loaded = []
    for index, seed in samples:
        pictures = pairs.pictures(index)
        given = [*pictures, exemplars(index)] if exemplars else [*pictures]
        loaded.append(_crop_and_augment(given, pictures[2], crop, np.random.default_rng(seed)))
    return [np.stack(pictures) for pictures in zip(*loaded, strict=True)]


def classes_of(pairs: Pairs) -> list[int]:
    """What the damaged pixels of each pair are, as `load_damage` numbers it."""
    damages = [DAMAGE[name_of(label)] for label in pairs.column("corruption")]
    return [1 + DAMAGES.index(damage) if damage else ANY for damage in damages]


def load_damage(pairs: Pairs, crop: int, classes: list[int], samples: Samples) -> list[np.ndarray]:
    """Pictures to find the damage of, each decoded, cropped, and turned one of the square's eight ways.

    Of so many as `UNDAMAGED` says it is the undamaged one, since most pictures are. Half of the crops lie anywhere,
    half at the edge of the damage. The damage of some is fainter and softer than it was painted, and some are grainy,
    or compressed once more, as scans are, all over: so damage is not known by its sharp edge, nor by having no noise.

    Returns:
        uint8 NHWC; and uint8 NHW: 0 where a pixel is sound, else 1 and the index of its damage in `DAMAGES`, `ANY`
        where that may be one or another, and `EITHER` where a sound pixel touches a damaged one.
    """
    cv2.setNumThreads(1)
    loaded = []
    for index, seed in samples:
        rng = np.random.default_rng(seed)
        target, image, mask = pairs.pictures(index)
        if rng.random() < UNDAMAGED:
            image, mask = target, np.zeros_like(mask)
        else:
            image, mask = _weaken(target, image, mask, rng)
        if rng.random() < GRAINY:
            image = _as_pixels(image + rng.normal(0, rng.uniform(*GRAIN), (*mask.shape, 1)))
        if rng.random() < COMPRESSED:
            image = _compress(image, int(rng.integers(*QUALITIES)))
        anywhere = not mask.any() or rng.random() < 0.5
        edge = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) * np.uint8(EITHER)
        damage = np.where(mask, np.uint8(classes[index]), edge)
        loaded.append(_crop_and_augment([image, damage], np.ones_like(mask) if anywhere else mask, crop, rng))
    return [np.stack(pictures) for pictures in zip(*loaded, strict=True)]


def _weaken(
    target: np.ndarray, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The damaged picture with damage that is fainter or softer, by chance; and where it is damaged."""
    change = image.astype(np.float32) - target
    if rng.random() < FAINT:
        change *= rng.uniform(*STRENGTH)
    if rng.random() < SOFT:
        change = cv2.GaussianBlur(change, (0, 0), rng.uniform(*BLUR))
        mask = mask | (np.abs(change).max(-1) > SEEN)
    return _as_pixels(target + change), mask


def _as_pixels(picture: np.ndarray) -> np.ndarray:
    return picture.round().clip(0, 255).astype(np.uint8)


def load_shrunk(pairs: Pairs | FreshPairs, crop: int, samples: Samples) -> list[np.ndarray]:
    """Targets, each cropped and turned one of the square's eight ways, and the same shrunk by each factor.

    They are shrunk as the kind of the pair has it, before the crop, which lies on pixels of all that are made. No
    pair's own picture is looked at, so that each target is learned from at every factor, and degraded anew every time.

    Returns:
        uint8 NHWC: the targets, then for each of `FACTORS` the small pictures.
    """
    cv2.setNumThreads(1)
    loaded = []
    for index, seed in samples:
        rng = np.random.default_rng(seed)
        target = pairs.target(index)
        side, grid = crop or min(target.shape[:2]), STRIDE
        top, left = (grid * int(rng.integers((length - side) // grid + 1)) for length in target.shape[:2])
        turn = int(rng.integers(8))
        shrink = SHRINK[name_of(pairs.label(index))]
        pictures = [target, *(shrink(target, factor, rng)[0] for factor in FACTORS)]
        windows = [_scaled((top, left, side), factor) for factor in (1, *FACTORS)]
        loaded.append([augment(picture[window], turn) for picture, window in zip(pictures, windows, strict=True)])
    return [np.stack(pictures) for pictures in zip(*loaded, strict=True)]


def load_unpaired(pairs: Pairs, crop: int, samples: Samples) -> list[np.ndarray]:
    """Pictures of the first domain, and of any other pair the second's; each cropped anywhere, and turned.

    Returns:
        uint8 NHWC twice.
    """
    cv2.setNumThreads(1)
    loaded = []
    for index, seed in samples:
        rng = np.random.default_rng(seed)
        pictures = pairs.stored(index), pairs.target(int(rng.integers(len(pairs))))
        loaded.append(
            [each for one in pictures for each in _crop_and_augment([one], np.ones(one.shape[:2], bool), crop, rng)]
        )
    return [np.stack(pictures) for pictures in zip(*loaded, strict=True)]


def _scaled(square: tuple[int, int, int], factor: int) -> tuple[slice, slice]:
    top, left, side = (length // factor for length in square)
    return slice(top, top + side), slice(left, left + side)


def _compress(image: np.ndarray, quality: int) -> np.ndarray:
    compressed = io.BytesIO()
    Image.fromarray(image).save(compressed, "JPEG", quality=quality)
    return np.asarray(Image.open(compressed))


def cache_exemplars(pairs: Pairs | FreshPairs) -> Exemplars:
    """The exemplar prior of a pair, by its index: uint8 RGB HWC. What `CACHED` has space for is made only once."""
    return lru_cache(CACHED // (3 * pairs.size[0] * pairs.size[1]))(partial(_exemplar, pairs))


def _exemplar(pairs: Pairs | FreshPairs, index: int) -> np.ndarray:
    _, image, mask = pairs.pictures(index)
    if mask.all():
        return image
    smooth = numpy_fill.fill("plate", image.astype(np.float32) / 255, mask)
    return (exemplar_fill.fill(smooth, mask) * 255).round().astype(np.uint8)


def _crop_and_augment(
    pictures: list[np.ndarray], mask: np.ndarray, crop: int, rng: np.random.Generator
) -> list[np.ndarray]:
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
