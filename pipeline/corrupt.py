"""Stage 2: make pairs of a clean picture and a damaged one, with the mask of the damage."""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read_stage("corrupt", __doc__)

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from PIL import Image

from pipeline import lineage
from pipeline.corruptions import fresh_pairs, photo_pairs, shards
from pipeline.corruptions import object as cutout
from pipeline.corruptions.shards import Shard
from pipeline.datasets import pairs, photos
from pipeline.datasets.splits import SPLITS, assign_splits
from pipeline.images import grid
from pipeline.params import Corrupt, load
from pipeline.runtime import environment, files, outputs, parallel, progress
from pipeline.runtime.errors import one_line_errors
from pipeline.tracking import client, data_run

PHOTOS = Path("data/coco")
OUTS = ("data/pairs", "metrics/pairs.csv", "metrics/pairs.png")
EXAMPLES = 4  # of each corruption on the contact sheet


def main() -> None:
    """Read `data/coco`; write the pairs, their numbers and a contact sheet."""
    params = load()
    client.prepare(params.tracking.required)
    counts = make(params.corrupt).groupby("split").pairs.sum()
    counts = counts.reindex(SPLITS, fill_value=0)
    numbers = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
    print(f"{counts.sum()} pairs in data/pairs: {numbers}{'' if params.corrupt.variants else ', made as it trains'}")
    metrics = {f"corrupt/pairs/{split}": float(counts[split]) for split in SPLITS}
    data_run.log("corrupt", metrics, [Path("metrics/pairs.png")])


def make(params: Corrupt) -> pd.DataFrame:
    """Write the outs; return `count_pairs`."""
    params = cutout.cap_area(params)
    splits = assign_splits(photos.index(PHOTOS), params.val, params.test)
    fitting = photo_pairs.list_fitting_silhouettes(PHOTOS, splits, params)
    frozen = SPLITS if params.variants else [split for split in SPLITS if split != "train"]
    once = params.model_copy(update={"variants": params.variants or 1})
    planned = [shard for split in frozen for shard in shards.plan(split, splits[split], fitting[split], once)]
    with outputs.complete_outs(*OUTS) as (pairs_out, summary_out, sheet_out), _kept_folder(params) as folder:
        rows = make_shards(planned, folder, once)
        table = count_pairs(rows)
        table.to_csv(summary_out, index=False)
        draw_contact_sheet(folder, rows[rows.split == frozen[0]]).save(sheet_out)
        pairs_out.mkdir()
        if not params.variants:
            fresh_pairs.write_recipe(pairs_out, folder.name, params)
        for shard in planned:
            shutil.move(folder / shard.name, pairs_out / shard.name)
    return table


@contextmanager
def _kept_folder(params: Corrupt) -> Iterator[Path]:
    """Where the shards lie until all are made: it outlives a run that is killed, and the next one goes on from it.

    It has the name of all that decides the pairs, and is the same for experiments in a temporary checkout. A run that
    ends well removes it, and what other runs have left.

    Raises:
        UserError: another process works in it.
    """
    root = lineage.root() / ".cache/corrupt"
    facts = {"params": params.model_dump(), "versions": environment.versions()}
    folder = root / lineage.fingerprint("corrupt", facts, but=".zip")  # the manifest has the photos' own hashes
    taken = f"{folder}: another run with the same parameters works in it"
    with files.exclusive_lock(folder.with_suffix(".lock"), outputs.WAIT, taken):
        folder.mkdir(exist_ok=True)
        yield folder
        shutil.rmtree(folder)
    for left in [path for path in root.iterdir() if path.is_dir()]:
        with suppress(Timeout, OSError), FileLock(left.with_suffix(".lock")).acquire(timeout=0):
            shutil.rmtree(left)


def make_shards(planned: list[Shard], folder: Path, params: Corrupt) -> pd.DataFrame:
    """Write each shard that `folder` lacks; return a line for each pair: its split, shard and row, and what it is."""
    work = partial(shards.make, store=PHOTOS.resolve(), folder=folder, params=params)
    tables = []
    with progress.bar(None, "corrupt", sum(len(shard.jobs) for shard in planned) * params.variants, "pair") as bar:
        for shard, (corruptions, areas) in zip(planned, parallel.in_processes(work, planned), strict=True):
            lines = {"shard": shard.name, "row": range(len(areas)), "corruption": corruptions, "hole_area": areas}
            tables.append(pd.DataFrame(lines).assign(split=shard.split))
            bar.update(len(areas))
    return pd.concat(tables, ignore_index=True)


def count_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """A line for each split, corruption and tenth of hole area that has pairs: their number and mean area."""
    table = rows[["split", "corruption", "hole_area"]].copy()
    tenths = [f"{low}-{low + 10} %" for low in range(0, 100, 10)]
    table["area"] = pd.cut(table.hole_area, np.linspace(0, 1, 11), labels=tenths)
    table["split"] = pd.Categorical(table.split, SPLITS)
    groups = table.groupby(["split", "corruption", "area"], observed=True).hole_area
    return groups.agg(pairs="size", mean_hole_area="mean").round(4).reset_index()


def draw_contact_sheet(folder: Path, rows: pd.DataFrame) -> Image.Image:
    """Some pairs of each corruption: target, corrupted and mask."""
    open_shard = cache(lambda name: pairs.Shard(folder / name))
    groups = rows.groupby(rows.corruption)
    chosen = rows.loc[[index for _, group in groups for index in grid.evenly_spaced(list(group.index), EXAMPLES)]]
    pictures = []
    for line in chosen.itertuples():
        target, corrupted, mask = open_shard(line.shard).pictures(line.row)
        pictures.append([target, corrupted, mask.astype(np.uint8) * 255])
    return grid.image_grid(pictures, ["target", "corrupted", "mask"], list(chosen.corruption))


if __name__ == "__main__":
    with one_line_errors():
        main()
