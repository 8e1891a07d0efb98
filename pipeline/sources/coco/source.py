"""MS-COCO 2017, as its host, a mirror or a share has it."""

import codecs
import math
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.datasets import instances
from pipeline.datasets.instances import Entry, Passed
from pipeline.images import decode
from pipeline.params import Coco
from pipeline.runtime.errors import UserError, excerpt, told_of_file
from pipeline.runtime.parallel import in_threads, workers
from pipeline.sources.coco import retry, selection
from pipeline.sources.coco.cache import Cache, CorruptEntry
from pipeline.sources.coco.fetch import Wanted, fetch
from pipeline.sources.coco.hosts import Host, host_at
from pipeline.sources.coco.remote_zip import Refused
from pipeline.sources.coco.retry import Unavailable

SPLITS = {"train2017": ["train2017"], "val2017": ["val2017"], "both": ["train2017", "val2017"]}
ANNOTATION_FILES = 6  # captions, instances and person_keypoints of two splits


def read(coco: Coco, cache: Path) -> Iterator[tuple[str, dict[str, Any], Iterator[bytes]]]:
    """Each split that has chosen photos: its name, its instances dictionary, and its photos in that order.

    Args:
        coco: the choice, and the hosts.
        cache: where all that is fetched is kept; what is there is not fetched again.

    Raises:
        UserError: no host has what is needed, what one has is hostile or not COCO's, no photo fits the choice, or the
            disk is full.
    """
    with _alone(cache):
        urls = [coco.base_url] if isinstance(coco.base_url, str) else coco.base_url
        limits = [retry.PATIENCE] * (len(urls) - 1) + [math.inf]
        hosts = [host_at(*each) for each in zip(urls, limits, strict=True)]
        # other hosts may have other annotations, but not other photos by the same names
        datasets = _annotations(hosts, cache / "annotations" / _name(urls), SPLITS[coco.split])
        chosen = {split: _outlined(split, dataset) for split, dataset in selection.choose(coco, datasets).items()}
        wanted = [_photos(cache, split, dataset, len(datasets[split]["images"])) for split, dataset in chosen.items()]
        _fetch(hosts, wanted)
        for files in wanted:
            yield files.folder, chosen[files.folder], _contents(files)


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """One download at a time writes into the cache."""
    lock = FileLock(cache / "lock")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{cache}: another download is under way; waiting for it", flush=True)
        lock.acquire()
    except OSError as error:
        raise UserError(f"{told_of_file(error, cache)}, or set MENDLINE_CACHE to another folder") from None
    try:
        yield
    finally:
        lock.release()


def _fetch(hosts: list[Host], wanted: list[Wanted]) -> None:
    """Fetch from the first host that can; nothing is taken of an archive that is refused."""
    for host in hosts[:-1]:
        try:
            return fetch(host, wanted)
        except (Unavailable, Refused) as error:
            print(f"warning: {error}; going on with the next host", flush=True)
    fetch(hosts[-1], wanted)


def _annotations(hosts: list[Host], cache: Path, splits: list[str]) -> dict[str, dict[str, Any]]:
    """The instances dictionary of each split."""
    wanted = Wanted(
        archive="annotations/annotations_trainval2017.zip",
        folder="annotations",
        names=[f"instances_{split}.json" for split in splits],
        entries=ANNOTATION_FILES,
        most=2**31,
        fault=lambda name, content, checked: "" if checked else _no_object(content),
        pool=Cache(cache),
        directories=Cache(cache / "directory"),
    )
    _fetch(hosts, [wanted])
    contents = zip(splits, wanted.names, _contents(wanted), strict=True)
    return {split: _parsed(wanted, name, content) for split, name, content in contents}


def _no_object(content: bytes) -> str:
    """Whether this is plainly no JSON object, in any encoding: a page that a host sends whatever is asked for."""
    begins = content[:60].lstrip(codecs.BOM_UTF8 + codecs.BOM_UTF16 + b"\0 \t\r\n")
    return "" if begins.startswith(b"{") else f"not JSON, it begins {excerpt(begins)}"


def _contents(files: Wanted) -> Iterator[bytes]:
    """All files, in order, out of the pool.

    Raises:
        UserError: some are damaged; all of these are removed.
    """

    def read(name: str) -> bytes | CorruptEntry:
        try:
            return files.read(name)
        except CorruptEntry as error:
            return error

    contents = in_threads(read, files.names, workers())
    for content in contents:
        if isinstance(content, CorruptEntry):
            spoilt = [content, *(other for other in contents if isinstance(other, CorruptEntry))]
            for error in spoilt:
                if error.name in files.pool:  # another of its run has not taken it along
                    files.pool.remove(error.name)
            raise UserError(f"{content}" + (f" ({len(spoilt)} such files in all)" if len(spoilt) > 1 else ""))
        yield content


def _parsed(wanted: Wanted, name: str, content: bytes) -> dict[str, Any]:
    where = f"{wanted.archive}: {wanted.folder}/{name}"
    try:
        dataset, passed = instances.parse(content, where, _check_image)
    except UserError as error:
        wanted.pool.remove(name)  # the host may mend it, or be changed for another
        raise UserError(f"{error}; check download.coco.base_url") from None
    instances.report(passed, where)
    return dataset


def _check_image(image: Entry) -> None:
    """As of any instances file; and what no photo can be fetched for, or checked against, raises `ValueError`."""
    instances.check_image(image)
    if "/" in image["file_name"]:
        raise ValueError(f"its file_name {excerpt(image['file_name'])} has a folder; expected a plain name")
    for side in ("width", "height"):
        if side not in image:
            raise ValueError(f"it has no {side}; expected MS-COCO's annotations")


def _outlined(split: str, dataset: dict[str, Any]) -> dict[str, Any]:
    """The dictionary with those annotations alone that outline something."""
    outlined, reasons = instances.keep_outlines(dataset)
    instances.report({"annotations": Passed(len(dataset["annotations"]), reasons)}, f"instances_{split}.json")
    return outlined


def _name(urls: list[str]) -> str:
    """A folder name for these hosts, in this order."""
    return sha256("\n".join(urls).encode()).hexdigest()[:12]


def _photos(cache: Path, split: str, dataset: dict[str, Any], entries: int) -> Wanted:
    images = {image["file_name"]: image for image in dataset["images"]}

    def fault(name: str, content: bytes, checked: bool) -> str:
        try:
            instances.check_size(images[name], decode.sides(content, "its header"), "its header")
            if not checked:
                decode.decode_whole(content, "its content")
        except UserError as error:
            return str(error)
        return ""

    return Wanted(
        archive=f"zips/{split}.zip",
        folder=split,
        names=list(images),
        entries=entries,
        most=2**26,
        fault=fault,
        pool=Cache(cache / split),
        directories=Cache(cache / split / "directory"),
    )
