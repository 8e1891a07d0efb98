"""MS-COCO 2017, as its host, a mirror or a share has it."""

import codecs
import math
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline import lineage
from pipeline.datasets import instances
from pipeline.datasets.instances import Entry, Passed
from pipeline.images import decode
from pipeline.params import Coco
from pipeline.runtime.environment import cache_folder, workers
from pipeline.runtime.errors import UserError, excerpt, explain_os_error
from pipeline.runtime.parallel import in_threads
from pipeline.sources.coco import retry, selection
from pipeline.sources.coco.cache import Cache, CorruptEntry
from pipeline.sources.coco.fetch import Wanted, fetch
from pipeline.sources.coco.hosts import Host, open_host
from pipeline.sources.coco.remote_zip import Refused
from pipeline.sources.coco.retry import Unavailable

CACHE = lineage.root() / cache_folder() / "coco"
COCO_SPLITS = {"train2017": ["train2017"], "val2017": ["val2017"], "both": ["train2017", "val2017"]}
ANNOTATION_FILES = 6  # captions, instances and person_keypoints of two splits


def read(coco: Coco, cache: Path = CACHE) -> Iterator[tuple[str, Entry, Iterator[bytes]]]:
    """Each split of COCO's own with chosen photos: its name, its instances dictionary, and its photos in that order.

    Args:
        coco: the choice, and the hosts.
        cache: folder for all that is fetched; what is there is not fetched again.

    Raises:
        UserError: no host has what is needed, what one has is hostile or not COCO's, no photo fits the choice, or the
            disk is full.
    """
    with _lock(cache):
        urls = [coco.base_url] if isinstance(coco.base_url, str) else coco.base_url
        limits = [retry.PATIENCE] * (len(urls) - 1) + [math.inf]
        hosts = [open_host(*each) for each in zip(urls, limits, strict=True)]
        # other hosts may have other annotations, but not other photos by the same names
        datasets = _fetch_annotations(hosts, cache / "annotations" / _name_folder(urls), COCO_SPLITS[coco.split])
        chosen = {name: _select_outlines(name, dataset) for name, dataset in selection.choose(coco, datasets).items()}
        wanted = [_want_photos(cache, name, chosen[name], len(datasets[name]["images"])) for name in chosen]
        _fetch_from_first(hosts, wanted)
        for files in wanted:
            yield files.folder, chosen[files.folder], _read_all(files)


@contextmanager
def _lock(cache: Path) -> Iterator[None]:
    """One download at a time writes into the cache."""
    lock = FileLock(cache / "lock")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{cache}: another download is under way; waiting for it", flush=True)
        lock.acquire()
    except OSError as error:
        raise UserError(f"{explain_os_error(error, cache)}, or set MENDLINE_CACHE to another folder") from None
    try:
        yield
    finally:
        lock.release()


def _fetch_from_first(hosts: list[Host], wanted: list[Wanted]) -> None:
    """Fetch from the first host that can; nothing is taken of an archive that is refused."""
    for host in hosts[:-1]:
        try:
            return fetch(host, wanted)
        except (Unavailable, Refused) as error:
            print(f"warning: {error}; going on with the next host", flush=True)
    fetch(hosts[-1], wanted)


def _fetch_annotations(hosts: list[Host], cache: Path, coco_splits: list[str]) -> dict[str, Entry]:
    """The instances dictionary of each of COCO's splits."""
    wanted = Wanted(
        archive="annotations/annotations_trainval2017.zip",
        folder="annotations",
        names=[f"instances_{coco_split}.json" for coco_split in coco_splits],
        entries=ANNOTATION_FILES,
        most=2**31,
        fault=lambda name, content, checked: "" if checked else _find_page(content),
        cache=Cache(cache),
        directory_cache=Cache(cache / "directory"),
    )
    _fetch_from_first(hosts, [wanted])
    contents = zip(coco_splits, wanted.names, _read_all(wanted), strict=True)
    return {coco_split: _parse(wanted, name, content) for coco_split, name, content in contents}


def _find_page(content: bytes) -> str:
    """What is wrong with plainly no JSON object, in any encoding: a page that a host sends whatever is asked for."""
    begins = content[:60].lstrip(codecs.BOM_UTF8 + codecs.BOM_UTF16 + b"\0 \t\r\n")
    return "" if begins.startswith(b"{") else f"not JSON, it begins {excerpt(begins)}"


def _read_all(files: Wanted) -> Iterator[bytes]:
    """All files, in order, out of the cache.

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
            corrupt = [content, *(other for other in contents if isinstance(other, CorruptEntry))]
            for error in corrupt:
                if error.name in files.cache:  # another of its run has not taken it along
                    files.cache.remove(error.name)
            raise UserError(f"{content}" + (f" ({len(corrupt)} such files in all)" if len(corrupt) > 1 else ""))
        yield content


def _parse(wanted: Wanted, name: str, content: bytes) -> Entry:
    where = f"{wanted.archive}: {wanted.folder}/{name}"
    try:
        dataset, passed = instances.parse(content, where, _check_image)
    except UserError as error:
        wanted.cache.remove(name)  # the host may mend it, or be changed for another
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


def _select_outlines(coco_split: str, dataset: Entry) -> Entry:
    """The dictionary with those annotations alone that outline something."""
    outlined, reasons = instances.select_outlines(dataset)
    instances.report({"annotations": Passed(len(dataset["annotations"]), reasons)}, f"instances_{coco_split}.json")
    return outlined


def _name_folder(urls: list[str]) -> str:
    """A folder name for these hosts, in this order."""
    return sha256("\n".join(urls).encode()).hexdigest()[:12]


def _want_photos(cache: Path, coco_split: str, dataset: Entry, entries: int) -> Wanted:
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
        archive=f"zips/{coco_split}.zip",
        folder=coco_split,
        names=list(images),
        entries=entries,
        most=2**26,
        fault=fault,
        cache=Cache(cache / coco_split),
        directory_cache=Cache(cache / coco_split / "directory"),
    )
