"""The user's own pictures, as they are."""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import decode, progress
from pipeline.coco import instances
from pipeline.errors import UserError
from pipeline.parallel import in_threads, workers
from pipeline.params import Folder


def read(folder: Folder) -> tuple[str, dict[str, Any], Iterator[bytes]]:
    """The split `folder`: its name, its COCO instances dictionary, and its pictures in that order.

    Every picture has been decoded once when this returns.

    Raises:
        UserError: no such folder, no picture in it, a picture that is missing, unreadable or of another size than
            the annotations say, or annotations that are missing or not COCO's.
    """
    root = Path(folder.path)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; put your pictures there, or change download.folder.path")
    dataset = _annotated(root, folder.annotations) if folder.annotations else _listed(root)
    checked = in_threads(partial(_checked, root), dataset["images"], workers())
    dataset["images"] = list(progress.bar(checked, "checking", len(dataset["images"]), "photo"))
    return "folder", dataset, ((root / image["file_name"]).read_bytes() for image in dataset["images"])


def _annotated(root: Path, annotations: str) -> dict[str, Any]:
    try:
        content = (root / annotations).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{root / annotations}: no such file; change download.folder.annotations") from None
    return instances.parse(content, str(root / annotations))


def _listed(root: Path) -> dict[str, Any]:
    """A dictionary of all pictures in the folder and below it, hidden ones aside, by name."""
    images: dict[int, dict[str, Any]] = {}
    for name in map(str, decode.below(root)):
        image_id = _id(name)
        if image_id in images:
            raise UserError(f"{root}: {images[image_id]['file_name']} and {name} have the same id; rename one")
        images[image_id] = {"id": image_id, "file_name": name, "license": 1, "coco_url": ""}
    return {
        "info": {"description": "Pictures from a folder"},
        "licenses": [{"id": 1, "name": "unknown", "url": ""}],
        "images": list(images.values()),
        "annotations": [],
        "categories": [],
    }


def _id(name: str) -> int:
    """An id that depends on the name alone, 1 to 2^53 - 1: exact in a JSON or CSV reader that knows doubles only."""
    try:
        digest = hashlib.sha256(name.encode()).digest()
    except UnicodeEncodeError:
        raise UserError(f"{name!r}: the name is not UTF-8; rename the file") from None
    return int.from_bytes(digest) % (2**53 - 1) + 1


def _checked(root: Path, image: dict[str, Any]) -> dict[str, Any]:
    """The entry with the picture's size, if it has none."""
    path = root / image["file_name"]
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file, but the annotations list it; add it, or take it off the list") from None
    pixels = decode.decode(content, str(path))
    height, width, _ = pixels.shape
    image = {"width": width, "height": height} | image
    instances.check_size(image, (width, height), str(path))
    return image
