"""Tars of pictures, the form in which web-scale sets come: WebDataset's, from a disk, a web server or an object store.

The files of a tar with the same name up to its first dot belong together: `000123.jpg` is a photo, and `000123.json`
may say its `license` and `url`. Others are passed over.
"""

import hashlib
import json
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.datasets.instances import Entry
from pipeline.images import decode, formats
from pipeline.params import Shards
from pipeline.runtime import progress
from pipeline.runtime.environment import cache_folder, workers
from pipeline.runtime.errors import UserError, excerpt
from pipeline.runtime.parallel import in_threads

RANGE = r"\{(\d+)\.\.(\d+)\}"  # {000..127} of a URL stands for a tar each


def read(shards: Shards) -> Iterator[tuple[str, Entry, Iterator[bytes]]]:
    """Of each tar with a photo: the name `shard-NNNNN`, a COCO instances dictionary, and the photos in that order.

    A tar from elsewhere is kept in `.cache/shards`. stderr counts the pictures that cannot be read.

    Raises:
        UserError: a tar cannot be had, or is none; no photo in any of them; or two with the same id.
    """
    taken: dict[int, str] = {}
    for number, url in enumerate(url for pattern in shards.urls for url in expand(pattern)):
        if shards.limit and len(taken) >= shards.limit:
            break
        path = _fetch(url)
        images = _describe(url, path)[: shards.limit - len(taken) if shards.limit else None]
        for image in images:
            if other := taken.get(image["id"]):
                raise UserError(f"{url}: {image['file_name']} has the id of {other}; name the tar otherwise")
            taken[image["id"]] = f"{url}: {image['file_name']}"
        if images:
            yield f"shard-{number:05}", _build_dataset(images), _read_photos(path, images)
    if not taken:
        raise UserError(f"no photos in {excerpt(shards.urls)}; expected tars of .jpg or other pictures")


def expand(pattern: str) -> list[str]:
    """The URLs that a pattern stands for: `a-{08..10}.tar` for a-08.tar, a-09.tar and a-10.tar."""
    found = re.search(RANGE, pattern)
    if not found:
        return [pattern]
    first, last = found.groups()
    numbers = [f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
    return [url for number in numbers for url in expand(pattern[: found.start()] + number + pattern[found.end() :])]


def _fetch(url: str) -> Path:
    """Where the tar lies on this machine."""
    if "://" not in url:
        return Path(url)
    import fsspec

    try:
        kept = {"cache_storage": str(Path(cache_folder()) / "shards")}
        return Path(fsspec.open_local(f"filecache::{url}", filecache=kept))
    except Exception as error:  # each file system has errors of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{url}: {reason}; check download.shards.urls") from None


def _describe(url: str, path: Path) -> list[Entry]:
    """The photos of a tar, in its order, decoded once."""
    pictures: dict[str, Entry] = {}
    facts: dict[str, Any] = {}

    def contents() -> Iterator[tuple[Entry, bytes]]:
        for member, content in _members(url, path):
            key, suffix = _split(member.name)
            if suffix == ".json":
                facts[key] = _parse(content)
            elif suffix.count(".") == 1 and formats.is_picture(Path(f"x{suffix}")) and key not in pictures:
                image_id = _hash(f"{Path(url).stem}/{key}")
                pictures[key] = {"id": image_id, "file_name": member.name, "key": key, "license": 1, "coco_url": ""}
                yield pictures[key], content

    checked = list(progress.bar(in_threads(_check, contents(), workers()), "checking", None, "photo"))
    images = [entry for entry in checked if isinstance(entry, dict)]
    faults = [fault for fault in checked if isinstance(fault, UserError)]
    if faults:
        print(f"note: {url}: {len(faults)} of {len(checked)} pictures passed over: {faults[0]}", file=sys.stderr)
    return [image | facts.get(image.pop("key"), {}) for image in images]


def _members(url: str, path: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                if file:
                    yield member, file.read()
    except (tarfile.TarError, EOFError):
        raise UserError(f"{url}: not a whole tar; get it again") from None


def _split(name: str) -> tuple[str, str]:
    folder, _, base = name.rpartition("/")
    key, dot, suffix = base.partition(".")
    return f"{folder}/{key}", (dot + suffix).lower()


def _check(given: tuple[Entry, bytes]) -> Entry | UserError:
    image, content = given
    try:
        height, width, _ = decode.decode_whole(content, image["file_name"]).shape
    except UserError as error:
        return error
    return image | {"width": width, "height": height}


def _parse(content: bytes) -> dict[str, str]:
    """What is said of a photo's license and origin; nothing where that is no such dictionary."""
    try:
        said = json.loads(content)
    except ValueError:
        return {}
    named = {"license_name": "license", "coco_url": "url"}
    return {ours: str(said[theirs]) for ours, theirs in named.items() if isinstance(said, dict) and said.get(theirs)}


def _hash(name: str) -> int:
    """An id that depends on the name alone, 1 to 2^53 - 1."""
    return int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()) % (2**53 - 1) + 1


def _build_dataset(images: list[Entry]) -> Entry:
    names = sorted({image.get("license_name", "unknown") for image in images})
    numbers = {name: number for number, name in enumerate(names, 1)}
    for image in images:
        image["license"] = numbers[image.pop("license_name", "unknown")]
    return {
        "info": {"description": "Pictures from tars"},
        "licenses": [{"id": number, "name": name, "url": ""} for name, number in numbers.items()],
        "images": images,
        "annotations": [],
        "categories": [],
    }


def _read_photos(path: Path, images: list[Entry]) -> Iterator[bytes]:
    with tarfile.open(path) as tar:
        for image in images:
            file = tar.extractfile(image["file_name"])
            assert file
            yield file.read()
