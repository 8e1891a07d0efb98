"""The unit of work of corrupt: a fixed number of photos, whose pairs are written by who makes them."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from pipeline.datasets import pairs
from pipeline.datasets.pairs import Pair
from pipeline.params import Corrupt
from pipeline.runtime.errors import UserError

PHOTOS = 64  # at most: half a second of work at 128 px and two variants


@dataclass(frozen=True)
class Shard:
    """A file of the store to be.

    Attributes:
        name: of the file.
        split: of its pairs.
        jobs: its photos, in order, as `photo_pairs.Job` or `unpaired.Job`.
        pairs: how many come of them.
        last: whether it is the last of its split.
    """

    name: str
    split: str
    jobs: list[Any]
    pairs: int
    last: bool


def plan(split: str, jobs: list[Any], params: Corrupt) -> Iterator[Shard]:
    """The shards of a split; the parameters alone decide how many photos each has."""
    count = max(1, min(PHOTOS, pairs.SHARD_BYTES // (params.variants * 2 * 3 * params.image_size**2)))
    for number, start in enumerate(range(0, len(jobs), count)):
        name = pairs.shard_name(split, number)
        own = jobs[start : start + count]
        yield Shard(name, split, own, len(own) * params.variants, last=start + count >= len(jobs))


def make(shard: Shard, folder: Path, make_pairs: Callable[[Any], list[Pair]]) -> tuple[list[str], list[float]]:
    """Write a shard, unless it is there and whole; runs in a worker, in several at once where one seems dead.

    Args:
        shard: what to make.
        folder: where to.
        make_pairs: gives the pairs of a job.

    Returns:
        The corruption and the hole area of each of its pairs.
    """
    path = folder / shard.name
    with suppress(UserError):
        return _summarize(path)
    made = (pair for job in shard.jobs for pair in make_pairs(job))
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
