"""MS-COCO 2017, as its host or a mirror lays it out."""

import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from pipeline import photos, progress
from pipeline.coco import instances, selection, transfer
from pipeline.errors import UserError
from pipeline.parallel import in_threads
from pipeline.params import Coco

ANNOTATIONS = "annotations/annotations_trainval2017.zip"
SPLITS = {"train2017": ["train2017"], "val2017": ["val2017"], "both": ["train2017", "val2017"]}


def read(coco: Coco, scratch: Path) -> Iterator[tuple[str, dict[str, Any], Iterator[bytes]]]:
    """Each split that has chosen photos: its name, its instances dictionary, and its photos in that order.

    Args:
        coco: the choice, and the host.
        scratch: a folder for what is under way; it is created.

    Raises:
        UserError: the host does not answer or does not have a file, a file stays damaged, the annotations are not
            COCO's, or no photo fits the choice.
    """
    base = coco.base_url.rstrip("/")
    scratch.mkdir()
    with transfer.session() as session:
        target = scratch / "annotations.zip"
        transfer.fetch(session, f"{base}/{ANNOTATIONS}", target, _check_zip)
        datasets = {split: _instances(target, f"instances_{split}.json") for split in SPLITS[coco.split]}
        for split, dataset in selection.choose(coco, datasets).items():
            yield split, dataset, _photos(session, f"{base}/{split}", dataset, scratch)


def _instances(archive: Path, name: str) -> dict[str, Any]:
    where = f"{ANNOTATIONS}: annotations/{name}"
    with zipfile.ZipFile(archive) as members:
        try:
            content = members.read(f"annotations/{name}")
        except KeyError:
            raise UserError(f"{where}: not in the archive; check download.coco.base_url") from None
    dataset = instances.parse(content, where)
    for image in dataset["images"]:
        if "/" in image["file_name"]:
            raise UserError(f"{where}: the file_name {image['file_name']!r} has a folder; expected a plain name")
    return dataset


def _photos(session: requests.Session, base: str, dataset: dict[str, Any], scratch: Path) -> Iterator[bytes]:
    fetched = in_threads(partial(_photo, session, base, scratch), dataset["images"], transfer.CONNECTIONS)
    for path in progress.bar(fetched, base.rpartition("/")[2], len(dataset["images"]), "photo"):
        yield path.read_bytes()
        path.unlink()


def _photo(session: requests.Session, base: str, scratch: Path, image: dict[str, Any]) -> Path:
    target = scratch / f"{image['id']}.jpg"
    transfer.fetch(session, f"{base}/{quote(image['file_name'])}", target, partial(_check_photo, image))
    return target


def _check_zip(path: Path, url: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise UserError(f"{url}: not a readable zip ({error}); check download.coco.base_url") from None
    if broken:
        raise UserError(f"{url}: {broken} is damaged; check download.coco.base_url")


def _check_photo(image: dict[str, Any], path: Path, url: str) -> None:
    instances.check_size(image, photos.decode(path.read_bytes(), url), url)
