"""The user's own pictures, as they are."""

import errno
import hashlib
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unicodedata import normalize

from pipeline.datasets import instances
from pipeline.datasets.instances import Entry
from pipeline.images import decode, formats
from pipeline.params import Folder
from pipeline.runtime import progress
from pipeline.runtime.environment import workers
from pipeline.runtime.errors import UserError, excerpt
from pipeline.runtime.parallel import in_threads

NAMED = 5  # of many files, those that a message names
ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}


def read(folder: Folder) -> Iterator[tuple[str, Entry, Iterator[bytes]]]:
    """The name `folder`, the COCO instances dictionary, and the pictures in that order; once.

    Every picture has been decoded once before. stderr says what is passed over: entries of the annotations
    that cannot be used, pictures that they do not list, and files with other suffixes.

    Raises:
        UserError: no such folder, no picture in it, pictures that are unreadable, or annotations that are missing, not
            COCO's, or of none of these pictures.
    """
    root = Path(folder.path)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; put your pictures there, or change download.folder.path")
    files = _list_files(root)
    annotations = Path(os.path.normpath(root / folder.annotations)) if folder.annotations else None  # as DVC reads it
    dataset = _read_annotations(root, files, annotations) if annotations else _describe_all(root)
    listed = {image["file_name"] for image in dataset["images"]}
    _report_files(root, files, listed, annotations)
    yield "folder", dataset, ((root / image["file_name"]).read_bytes() for image in dataset["images"])


def _list_files(root: Path) -> list[str]:
    """All files in the folder and below it, hidden ones aside, relative to it, by name."""
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not any(name.startswith(".") for name in path.parts))


def _read_annotations(root: Path, files: list[str], annotations: Path) -> Entry:
    """The dictionary in the file, of the pictures that are there, and what outlines something in them."""
    try:
        content = annotations.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{annotations}: no such file; change download.folder.annotations") from None
    except OSError as error:
        raise UserError(f"{annotations}: {error.strerror}; change download.folder.annotations") from None
    dataset, passed = instances.parse(content, str(annotations))
    there = {normalize("NFC", name): name for name in files} | {name: name for name in files}
    for image in dataset["images"]:  # a Mac writes accents apart, most others in one character
        name = image["file_name"]
        image["file_name"] = there.get(name) or there.get(normalize("NFC", name), name)
    dataset["images"], reasons = _decode_all(root, dataset["images"])
    passed["images"].reasons.extend(reasons)
    instances.refuse_empty(dataset, passed, str(annotations))
    dataset, reasons = instances.select_outlines(dataset)
    passed["annotations"].reasons.extend(reasons)
    instances.report(passed, str(annotations))
    return dataset


def _describe_all(root: Path) -> Entry:
    """A dictionary of all pictures in the folder and below it, hidden ones aside, by name."""
    images: dict[int, Entry] = {}
    for name in map(str, formats.list_pictures(root)):
        image_id = _hash_name(name)
        if image_id in images:
            raise UserError(f"{root}: {images[image_id]['file_name']} and {name} have the same id; rename one")
        images[image_id] = {"id": image_id, "file_name": name, "license": 1, "coco_url": ""}
    looked_at, _ = _decode_all(root, list(images.values()))
    return {
        "info": {"description": "Pictures from a folder"},
        "licenses": [{"id": 1, "name": "unknown", "url": ""}],
        "images": looked_at,
        "annotations": [],
        "categories": [],
    }


def _decode_all(root: Path, images: list[Entry]) -> tuple[list[Entry], list[str]]:
    """The entries with the sizes of their pictures, and why each of the others is passed over.

    Raises:
        UserError: pictures that are there are unreadable.
    """
    checked = in_threads(partial(_decode, root), images, workers())
    looked_at = list(progress.bar(checked, "checking", len(images), "photo"))
    unreadable = [fault for fault in looked_at if isinstance(fault, UserError)]
    if len(unreadable) > 1:
        pairs = zip(images, looked_at, strict=True)
        names = [image["file_name"] for image, fault in pairs if isinstance(fault, UserError)]
        what = f"{len(unreadable)} of {len(images)} pictures cannot be read: {_name_some(names)}"
        raise UserError(f"{root}: {what}; mend all of them as the first: {unreadable[0]}")
    if unreadable:
        raise unreadable[0]
    return (
        [entry for entry in looked_at if isinstance(entry, dict)],
        [str(fault) for fault in looked_at if isinstance(fault, ValueError)],
    )


def _decode(root: Path, image: Entry) -> Entry | ValueError | UserError:
    """The entry with the picture's size, or a `ValueError` of what is wrong with it, a `UserError` with the picture."""
    path = root / image["file_name"]
    where = _quote_name(str(path))
    try:
        height, width, _ = decode.decode_whole(path.read_bytes(), where).shape
    except UserError as error:
        return error
    except OSError as error:
        if error.errno in ABSENT:
            return ValueError(f"image {image['id']}: no file {excerpt(image['file_name'])} in {root}")
        return UserError(f"{where}: {error.strerror}; replace or remove it")
    for sides in ((width, height), (height, width)):  # an EXIF tag may have exchanged them
        filled = dict(zip(("width", "height"), sides, strict=True)) | image
        if (filled["width"], filled["height"]) == sides:
            return filled
    annotated = f"{image.get('width', '?')} x {image.get('height', '?')} in the annotations"
    return ValueError(f"image {image['id']}: {where}: {width} x {height} px, but {annotated}")


def _report_files(root: Path, files: list[str], listed: set[str], annotations: Path | None) -> None:
    """Say on stderr which files of the folder are not used."""
    left_out = [name for name in files if name not in listed and formats.is_picture(Path(name))]
    if left_out:
        what = f"{len(left_out)} of {len(left_out) + len(listed)} pictures left out: {_name_some(left_out)}"
        print(f"note: {root}: {what}; {annotations} has no entry for them that can be used", file=sys.stderr)
    used = {Path(name) for name in files if name in listed or root / name == annotations}
    if others := formats.describe_skipped(root, used):
        print(f"note: {root}: {others}", file=sys.stderr)


def _name_some(names: list[str]) -> str:
    more = [f"and {len(names) - NAMED} more"] if len(names) > NAMED else []
    return ", ".join([*map(_quote_name, names[:NAMED]), *more])


def _quote_name(name: str) -> str:
    """The name, on one line."""
    return name if name.isprintable() else repr(name)


def _hash_name(name: str) -> int:
    """An id that depends on the name alone, 1 to 2^53 - 1: exact in a JSON or CSV reader that knows doubles only."""
    try:
        digest = hashlib.sha256(name.encode()).digest()
    except UnicodeEncodeError:
        raise UserError(f"{name!r}: the name is not UTF-8; rename the file") from None
    return int.from_bytes(digest) % (2**53 - 1) + 1
