"""COCO instances dictionaries: what `instances_<split>.json` holds, read and checked."""

import json
from collections import Counter
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import UserError


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if not name.isprintable():
        raise ValueError(f"{name!r} has characters that cannot be printed; expected a plain name")
    if path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name or name == ".":
        raise ValueError(f"{name!r} does not stay inside its folder; expected a plain relative path")
    return name


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True)


class _Image(_Entry):
    id: int = Field(ge=0, lt=2**53)
    file_name: Annotated[str, Field(min_length=1), AfterValidator(_inside)]
    width: int = Field(default=1, ge=1)
    height: int = Field(default=1, ge=1)
    coco_url: str = ""


class _Annotation(_Entry):
    id: int
    image_id: int
    category_id: int


class _Category(_Entry):
    id: int
    name: str


class _License(_Entry):
    id: int
    name: str
    url: str


ENTRIES: dict[str, type[_Entry]] = {
    "images": _Image,
    "annotations": _Annotation,
    "categories": _Category,
    "licenses": _License,
}


def parse(content: bytes, where: str) -> dict[str, Any]:
    """Read an instances file.

    What the photo store needs and the file does not have is filled in: an empty `coco_url`, and for images whose
    license the file does not list, a license named "unknown".

    Args:
        content: the file.
        where: its name, for errors.

    Raises:
        UserError: not JSON, a list or a key is missing or of another type, an image id or a file name comes twice,
            or a file name leaves its folder.
    """
    try:
        dataset = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON ({error}); expected a COCO instances file") from None
    if not isinstance(dataset, dict):
        raise UserError(f"{where}: not a COCO instances file; expected images, annotations and categories")
    dataset.setdefault("licenses", [])
    for key, entry in ENTRIES.items():
        _check(dataset.get(key), key, entry, where)
    if not dataset["images"]:
        raise UserError(f"{where}: lists no images")
    for key in ("id", "file_name"):
        value, count = Counter(image[key] for image in dataset["images"]).most_common(1)[0]
        if count > 1:
            raise UserError(f"{where}: {count} images have the {key} {value}; expected each once")
    _fill_in(dataset)
    return dataset


def keep(dataset: dict[str, Any], image_ids: Collection[int]) -> dict[str, Any]:
    """The dictionary with these images alone, by id, and their annotations; all else is kept."""
    images = sorted((image for image in dataset["images"] if image["id"] in image_ids), key=lambda image: image["id"])
    annotations = [annotation for annotation in dataset["annotations"] if annotation["image_id"] in image_ids]
    return dataset | {"images": images, "annotations": annotations}


def check_size(image: dict[str, Any], sides: tuple[int, int], where: str) -> None:
    """Raise `UserError` unless width and height are those of the entry; an EXIF tag may have exchanged them."""
    width, height = sides
    if sorted(sides) != sorted((image["width"], image["height"])):
        raise UserError(
            f"{where}: {width} x {height} px, but {image['width']} x {image['height']} in the annotations; "
            "expected the picture that was annotated"
        )


def _check(entries: Any, key: str, shape: type[_Entry], where: str) -> None:
    if not isinstance(entries, list):
        raise UserError(f"{where}: lacks the list {key}; expected a COCO instances file")
    for number, entry in enumerate(entries):
        try:
            shape.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            what = ".".join([f"{key}[{number}]", *map(str, first["loc"])])
            raise UserError(f"{where}: {what}: {first['msg']}; expected a COCO instances file") from None


def _fill_in(dataset: dict[str, Any]) -> None:
    listed = {license_["id"] for license_ in dataset["licenses"]}
    unknown = {"id": max(listed, default=0) + 1, "name": "unknown", "url": ""}
    for image in dataset["images"]:
        image.pop("part", None)  # ours alone: the hash of the id decides
        image.setdefault("coco_url", "")
        if image.get("license") not in listed:
            image["license"] = unknown["id"]
    if any(image["license"] == unknown["id"] for image in dataset["images"]):
        dataset["licenses"] = [*dataset["licenses"], unknown]
