"""Stage 2: make pairs of a clean picture and a damaged one, with the mask of the damage."""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read_stage("corrupt", __doc__)

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from pipeline.corruptions import aging, draw, unpaired
from pipeline.corruptions import object as cutout
from pipeline.datasets import pairs, photos, silhouettes
from pipeline.datasets.pairs import Pair, Pairs
from pipeline.datasets.photos import Photo
from pipeline.datasets.silhouettes import Silhouette
from pipeline.datasets.splits import SPLITS, assign_splits
from pipeline.images import crops, grid
from pipeline.params import Corrupt, load
from pipeline.runtime import outputs, parallel, progress
from pipeline.runtime.errors import UserError, one_line_errors
from pipeline.tracking import client, data_run

PHOTOS = Path("data/coco")
OUTS = ("data/pairs", "metrics/pairs.csv", "metrics/pairs.png")
EXAMPLES = 4  # of each corruption on the contact sheet


@dataclass(frozen=True)
class Job:
    """A photo, and a silhouette for each of its variants, None where its split has none."""

    photo: Photo
    split: str
    silhouettes: list[Silhouette | None]


def main() -> None:
    """Read `data/coco`; write the pairs, their numbers and a contact sheet."""
    params = load()
    client.prepare(params.tracking.required)
    counts = make(params.corrupt).groupby("split").pairs.sum()
    numbers = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
    print(f"{counts.sum()} pairs in data/pairs: {numbers}")
    metrics = {f"corrupt/pairs/{split}": float(counts[split]) for split in SPLITS}
    data_run.log("corrupt", metrics, [Path("metrics/pairs.png")])


def make(params: Corrupt) -> pd.DataFrame:
    """Write the outs; return `count_pairs`."""
    params = cutout.cap_area(params)
    splits = assign_splits(photos.index(PHOTOS), params.val, params.test)
    jobs: list[Any]
    if params.domains.by == "none":
        fitting = list_fitting_silhouettes(splits, params)
        jobs = [job for split in SPLITS for job in plan(split, splits[split], fitting[split], params)]
        work = partial(make_pairs, params=params)
    else:
        jobs, work = unpaired.plan(PHOTOS, splits, params), partial(unpaired.make_pairs, PHOTOS, params=params)
    with outputs.complete_outs(*OUTS) as (pairs_out, summary_out, sheet_out):
        done = parallel.in_processes(work, jobs)
        for split, made in groupby(iter_pairs(jobs, done, params.variants), itemgetter(0)):
            pairs.write(pairs_out, split, (pair for _, pair in made))
        table = count_pairs(pairs_out)
        table.to_csv(summary_out, index=False)
        draw_contact_sheet(Pairs(pairs_out, "train")).save(sheet_out)
    return table


def list_fitting_silhouettes(splits: dict[str, list[Photo]], params: Corrupt) -> dict[str, list[Silhouette]]:
    """The silhouettes in the photos of each split that can be placed.

    A split without any borrows those of train: they are shapes, not pictures. Where train has none either, stderr
    says so.

    Raises:
        UserError: a split has none, and no weight is left without `object`.
    """
    by_photo = silhouettes.read(PHOTOS)
    fits = partial(cutout.fits, params=params.object, height=params.image_size, width=params.image_size)
    fitting = {
        split: [shape for photo in members for shape in filter(fits, by_photo.get(photo.image_id, []))]
        for split, members in splits.items()
    }
    fitting = {split: own or fitting["train"] for split, own in fitting.items()}
    bare = ", ".join(split for split in SPLITS if not fitting[split])
    if bare and draw.weigh_labels(params, True) != draw.weigh_labels(params, False):
        if not draw.weigh_labels(params, False):
            raise UserError(f"{PHOTOS}: no fitting silhouettes in {bare}; give another of corrupt.weights than object")
        print(f"{PHOTOS}: no fitting silhouettes in {bare}; made there without object", file=sys.stderr)
    return fitting


def plan(split: str, members: list[Photo], candidates: list[Silhouette], params: Corrupt) -> Iterator[Job]:
    """The work, with the silhouettes chosen."""
    for photo in members:
        chosen: list[Silhouette | None] = [None] * params.variants
        for variant in range(params.variants if candidates else 0):
            rng = np.random.default_rng([params.seed, photo.image_id, variant, 1])
            chosen[variant] = candidates[rng.integers(len(candidates))]
        yield Job(photo, split, chosen)


def make_pairs(job: Job, params: Corrupt) -> list[Pair]:
    """All pairs of a photo; runs in a worker."""
    cv2.setNumThreads(1)  # a worker has one core
    photo = photos.read(PHOTOS, job.photo)
    least_crop = 0.6 if job.split == "train" else 1.0
    made = []
    for variant, silhouette in enumerate(job.silhouettes):
        sequence = np.random.SeedSequence([params.seed, job.photo.image_id, variant])
        seed = sequence.generate_state(1, np.uint64).item()
        rng = np.random.default_rng(seed)
        target = crops.crop_square(photo, rng, least_crop, params.image_size)
        if params.aged and rng.random() < params.aged:
            target = aging.age(target, rng)
        label = draw.draw_label(rng, params, silhouette is not None)
        corrupted, damage = draw.corrupt(label, target, rng, params, silhouette)
        mask, margin = draw.widen(label, damage, rng, params)
        encoded = map(pairs.encode, (target, corrupted, mask.astype(np.uint8) * 255))
        made.append(Pair(job.photo.image_id, variant, label, seed, float(mask.mean()), margin, *encoded))
    return made


def iter_pairs(jobs: list[Any], done: Iterator[list[Pair]], variants: int) -> Iterator[tuple[str, Pair]]:
    """The pairs one by one, with their split, under a progress bar."""
    with progress.bar(None, "corrupt", len(jobs) * variants, "pair") as bar:
        for job, made in zip(jobs, done, strict=True):
            yield from ((job.split, pair) for pair in made)
            bar.update(variants)


def count_pairs(folder: Path) -> pd.DataFrame:
    """A line for each split, corruption and tenth of hole area that has pairs: their number and mean area."""
    columns = ("corruption", "hole_area")
    tables = [
        pd.DataFrame({name: Pairs(folder, split).column(name) for name in columns}).assign(split=split)
        for split in SPLITS
    ]
    table = pd.concat(tables)
    tenths = [f"{low}-{low + 10} %" for low in range(0, 100, 10)]
    table["area"] = pd.cut(table.hole_area, np.linspace(0, 1, 11), labels=tenths)
    table["split"] = pd.Categorical(table.split, SPLITS)
    groups = table.groupby(["split", "corruption", "area"], observed=True).hole_area
    return groups.agg(pairs="size", mean_hole_area="mean").round(4).reset_index()


def draw_contact_sheet(store: Pairs) -> Image.Image:
    """Some pairs of each corruption: target, corrupted and mask."""
    labels = pd.Series(store.column("corruption"))
    chosen = [index for _, group in labels.groupby(labels) for index in grid.evenly_spaced(list(group.index), EXAMPLES)]
    pictures = []
    for index in chosen:
        target, corrupted, mask = store.pictures(index)
        pictures.append([target, corrupted, mask.astype(np.uint8) * 255])
    return grid.image_grid(pictures, ["target", "corrupted", "mask"], [labels[index] for index in chosen])


if __name__ == "__main__":
    with one_line_errors():
        main()
