"""The pairs of a photo: each is a pure function of the parameters, the photo and the number of the variant."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from pipeline.corruptions import aging, draw
from pipeline.corruptions import object as cutout
from pipeline.datasets import pairs, photos, silhouettes
from pipeline.datasets.pairs import Pair
from pipeline.datasets.photos import Photo
from pipeline.datasets.silhouettes import Silhouette
from pipeline.datasets.splits import SPLITS
from pipeline.images import crops
from pipeline.params import Corrupt
from pipeline.runtime.errors import UserError


@dataclass(frozen=True)
class Job:
    """A photo, and a silhouette for each of its variants, None where its split has none."""

    photo: Photo
    split: str
    silhouettes: list[Silhouette | None]


def list_fitting_silhouettes(
    folder: Path, splits: dict[str, list[Photo]], params: Corrupt
) -> dict[str, list[Silhouette]]:
    """The silhouettes in the photos of each split that can be placed.

    A split without any borrows those of train: they are shapes, not pictures. Where train has none either, stderr
    says so.

    Raises:
        UserError: a split has none, and no weight is left without `object`.
    """
    by_photo = silhouettes.read(folder)
    fits = partial(cutout.fits, params=params.object, height=params.image_size, width=params.image_size)
    fitting = {
        split: [shape for photo in members for shape in filter(fits, by_photo.get(photo.image_id, []))]
        for split, members in splits.items()
    }
    fitting = {split: own or fitting["train"] for split, own in fitting.items()}
    bare = ", ".join(split for split in SPLITS if not fitting[split])
    if bare and draw.weigh_labels(params, True) != draw.weigh_labels(params, False):
        if not draw.weigh_labels(params, False):
            raise UserError(f"{folder}: no fitting silhouettes in {bare}; give another of corrupt.weights than object")
        print(f"{folder}: no fitting silhouettes in {bare}; made there without object", file=sys.stderr)
    return fitting


def plan(split: str, members: list[Photo], candidates: list[Silhouette], params: Corrupt) -> Iterator[Job]:
    """The work, with the silhouettes chosen."""
    for photo in members:
        chosen = [choose_silhouette(candidates, photo, variant, params.seed) for variant in range(params.variants)]
        yield Job(photo, split, chosen)


def choose_silhouette(candidates: list[Silhouette], photo: Photo, variant: int, seed: int) -> Silhouette | None:
    """One of the candidates by chance, None where there are none."""
    if not candidates:
        return None
    return candidates[np.random.default_rng([seed, photo.image_id, variant, 1]).integers(len(candidates))]


def seed_of(seed: int, photo: Photo, variant: int) -> int:
    """The seed, below 2**64, of all chance in a pair."""
    return np.random.SeedSequence([seed, photo.image_id, variant]).generate_state(1, np.uint64).item()


def make_pairs(folder: Path, job: Job, params: Corrupt) -> list[Pair]:
    """All pairs of a photo of the store in `folder`, encoded; runs in a worker."""
    cv2.setNumThreads(1)  # a worker has one core
    photo = photos.read(folder, job.photo)
    made = []
    for variant, silhouette in enumerate(job.silhouettes):
        seed = seed_of(params.seed, job.photo, variant)
        label, *pictures, margin = make_pair(photo, job.split, silhouette, seed, params)
        target, corrupted, mask = pictures
        encoded = map(pairs.encode, (target, corrupted, mask.astype(np.uint8) * 255))
        made.append(Pair(job.photo.image_id, variant, label, seed, float(mask.mean()), margin, *encoded))
    return made


def make_pair(
    photo: np.ndarray, split: str, silhouette: Silhouette | None, seed: int, params: Corrupt
) -> tuple[str, np.ndarray, np.ndarray, np.ndarray, float]:
    """One pair of a photo.

    Args:
        photo: uint8 RGB HWC.
        split: that it belongs to; only photos to train on are cropped.
        silhouette: for `object`; None leaves that out.
        seed: of all chance.
        params: of the stage.

    Returns:
        The label, target and corrupted picture (uint8 RGB HWC), the mask (bool HW), and its margin as `draw.widen`
        gives it.
    """
    rng = np.random.default_rng(seed)
    target = crops.crop_square(photo, rng, 0.6 if split == "train" else 1.0, params.image_size)
    if params.aged and rng.random() < params.aged:
        target = aging.age(target, rng)
    label = draw.draw_label(rng, params, silhouette is not None)
    corrupted, damage = draw.corrupt(label, target, rng, params, silhouette)
    mask, margin = draw.widen(label, damage, rng, params)
    return label, target, corrupted, mask, margin
