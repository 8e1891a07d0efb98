"""The unit of work of corrupt: a fixed number of photos, whose pairs are written by who makes them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pipeline.corruptions import photo_pairs
from pipeline.corruptions.photo_pairs import Job
from pipeline.datasets import pairs
from pipeline.datasets.photos import Photo
from pipeline.datasets.silhouettes import Silhouette
from pipeline.params import Corrupt
from pipeline.runtime.errors import UserError

PHOTOS = 64  # at most: half a second of work at 128 px and two variants


@dataclass(frozen=True)
class Shard:
    """A file of the store to be.

    Attributes:
        name: of the file.
        split: of its pairs.
        jobs: its photos, in order.
        last: whether it is the last of its split.
    """

    name: str
    split: str
    jobs: list[photo_pairs.Job]
    last: bool


def plan(split: str, members: list[Photo], candidates: list[Silhouette], params: Corrupt) -> Iterator[Shard]:
    """The shards of a split; the parameters alone decide how many photos each has."""
    count = max(1, min(PHOTOS, pairs.SHARD_BYTES // (params.variants * 2 * 3 * params.image_size**2)))
    jobs: list[Job] = list(photo_pairs.plan(split, members, candidates, params))
    for number, start in enumerate(range(0, len(jobs), count)):
        name = pairs.shard_name(split, number)
        yield Shard(name, split, jobs[start : start + count], last=start + count >= len(jobs))


def make(shard: Shard, store: Path, folder: Path, params: Corrupt) -> tuple[list[str], list[float]]:
    """Write a shard, unless it is there and whole; runs in a worker, in several at once where one seems dead.

    Args:
        shard: what to make.
        store: of the photos.
        folder: where to.
        params: of the stage.

    Returns:
        The corruption and the hole area of each of its pairs.
    """
    path = folder / shard.name
    with suppress(UserError):
        return _summarize(path)
    made = (pair for job in shard.jobs for pair in photo_pairs.make_pairs(store, job, params))
    begun = folder / f"{uuid4().hex}.partial"
    try:
        pairs.write_shard(begun, shard.name, list(made), shard.last)
        begun.replace(path)
    finally:
        begun.unlink(missing_ok=True)
    return _summarize(path)


def _summarize(path: Path) -> tuple[list[str], list[float]]:
    shard = pairs.Shard(path)
    return shard.column("corruption"), shard.column("hole_area")
