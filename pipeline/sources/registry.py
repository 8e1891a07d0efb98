"""The sources by name."""

from collections.abc import Callable, Iterator
from typing import Any

from pipeline.datasets.instances import Entry
from pipeline.sources import folder, shards
from pipeline.sources.coco import source as coco
from pipeline.sources.sample import source as sample

Read = Callable[[Any], Iterator[tuple[str, Entry, Iterator[bytes]]]]
"""The section of `download` that has the source's name -> a name, a COCO instances dictionary, and the files of its
images in that order; several of these where the photos are in several archives."""

SOURCES: dict[str, Read] = {"sample": sample.read, "coco": coco.read, "folder": folder.read, "shards": shards.read}
