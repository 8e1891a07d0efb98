"""Pictures of two domains, for what is learned without pairs: `corrupt.domains` says what tells the domains apart."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.corruptions import draw, renderings
from pipeline.datasets import domains, pairs, photos
from pipeline.datasets.domains import View
from pipeline.datasets.pairs import Pair
from pipeline.datasets.photos import Photo
from pipeline.images import crops
from pipeline.params import Corrupt
from pipeline.runtime.errors import UserError


@dataclass(frozen=True)
class Job:
    """A picture of the first domain, and one of the second: of another photo, unless the truth is known and asked for.

    Attributes:
        split: of both.
        copy: how many jobs before it have the same photo for a source.
        source: of the first domain.
        target: of the second.
    """

    split: str
    copy: int
    source: View
    target: View


def plan(folder: Path, splits: dict[str, list[Photo]], params: Corrupt) -> dict[str, list[Job]]:
    """The work: as many jobs a split as its larger domain has pictures.

    Raises:
        UserError: as `domains.assign` does; or no corruption is left that needs no silhouette.
    """
    if params.domains.by == "damage" and not draw.weigh_labels(params, False):
        raise UserError("corrupt.weights: none but object is above 0; corrupt.domains.by damage needs another")
    found = domains.assign(folder, splits, params.domains)
    return {split: list(_match(split, *pair)) for split, pair in found.items()}


def _match(split: str, sources: list[View], targets: list[View]) -> Iterator[Job]:
    """The views of the smaller domain come again until there are enough."""
    copies: Counter[int] = Counter()
    for number in range(max(len(sources), len(targets))):
        source, target = sources[number % len(sources)], targets[number % len(targets)]
        yield Job(split, copies[source.photo.image_id], source, target)
        copies[source.photo.image_id] += 1


def make_pairs(folder: Path, job: Job, params: Corrupt) -> list[Pair]:
    """All pairs of a job; runs in a worker. The mask is where the truth differs; everywhere, where there is none."""
    cv2.setNumThreads(1)  # a worker has one core
    made = []
    for variant in range(job.copy * params.variants, (job.copy + 1) * params.variants):
        image_id = job.source.photo.image_id
        sequence = np.random.SeedSequence([params.seed, image_id, variant, 2])
        seed = sequence.generate_state(1, np.uint64).item()
        rng = np.random.default_rng(seed)
        source = cut(folder, job.source, job.split, rng, params)
        label: str = params.domains.by
        corrupted, mask = source, np.ones(source.shape[:2], bool)
        target = source if job.target == job.source else cut(folder, job.target, job.split, rng, params)
        match params.domains.by:
            case "rendering":
                label, target = params.domains.rendering, renderings.render(params.domains.rendering, target)
            case "damage":
                label = draw.draw_label(rng, params, False)
                corrupted, damage = draw.corrupt(label, source, rng, params, None)
                mask = damage if job.target == job.source else mask
        encoded = map(pairs.encode, (target, corrupted, mask.astype(np.uint8) * 255))
        made.append(Pair(image_id, variant, label, seed, float(mask.mean()), np.nan, *encoded))
    return made


def cut(folder: Path, view: View, split: str, rng: np.random.Generator, params: Corrupt) -> np.ndarray:
    """The square of a view that is learned from, uint8 RGB HWC: of an instance with room around it."""
    photo = photos.read(folder, view.photo)
    if view.box:
        left, top, width, height = view.box
        side = min((1 + params.domains.room) * max(width, height), *photo.shape[:2])
        corner = (top + (height - side) / 2, left + (width - side) / 2)
        down, across = (
            round(min(max(0, at), length - side)) for at, length in zip(corner, photo.shape[:2], strict=True)
        )
        photo = photo[down : down + round(side), across : across + round(side)]
    return crops.crop_square(photo, rng, 0.6 if split == "train" and not view.box else 1.0, params.image_size)
