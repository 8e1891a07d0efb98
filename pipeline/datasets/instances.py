"""COCO instances dictionaries: what `instances_val2017.json` and its like hold, read and checked.

One rule for all of them: what such a file may hold is used. What cannot be used is passed over, and said in one line.
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from unicodedata import category, normalize

from pipeline.datasets import segmentation
from pipeline.runtime.errors import UserError, excerpt

Entry = dict[str, Any]

# Of an image: its split, train, val or test. On disk it stays "part": another name would change the bytes of stores.
SPLIT_KEY = "part"
LONGEST_NAME = 255  # bytes of a file's or a folder's name (NAME_MAX of Linux)


class Passed(NamedTuple):
    """What is passed over of a list with so many entries: why, for each."""

    total: int
    reasons: list[str]


def list_files(folder: Path) -> list[Path]:
    """The instances files of a photo store, by name."""
    return sorted((folder / "annotations").glob("instances_*.json"))


def load(content: bytes, where: str) -> Entry:
    """The JSON object in a file, in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Of a key that comes twice in an object the last is taken, and for a number of more digits than Python reads
    infinity. stderr says so.

    Args:
        content: the file.
        where: its name, for errors.

    Raises:
        UserError: not JSON, nested too deeply, or no object.
    """
    oddities: list[str] = []

    def entry(pairs: list[tuple[str, Any]]) -> Entry:
        found = dict(pairs)
        if len(found) < len(pairs):
            ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
            oddities.append(f"the key {excerpt(twice)} comes twice in an object; the last is taken")
        return found

    def number(digits: str) -> float:
        try:
            return int(digits)
        except ValueError:
            oddities.append(f"a number has {len(digits.lstrip('-'))} digits; {float(digits)} is taken")
            return float(digits)

    try:
        dataset = json.loads(content, object_pairs_hook=entry, parse_int=number)
    except RecursionError:
        what = "nested too deeply to be read; expected a COCO instances file"
        raise UserError(f"{where}: {what}, take out what is nested hundreds of levels deep") from None
    except ValueError as error:
        raise UserError(f"{where}: not JSON ({error}); expected a COCO instances file") from None
    if not isinstance(dataset, dict):
        raise UserError(f"{where}: not a COCO instances file; expected an object of images and annotations")
    if oddities:
        count = f"the first of {len(oddities)} oddities: " if len(oddities) > 1 else ""
        print(f"note: {where}: {count}{oddities[0]}", file=sys.stderr)
    return dataset


def check_image(image: Entry) -> None:
    """Bring an entry of `images` into the form that the photo store needs; raise `ValueError` where that cannot be."""
    image["id"] = _read_whole(image, "id")
    if not 0 <= image["id"] < 2**53:
        raise ValueError(f"its id is {excerpt(image['id'])}; expected 0 to 2^53 - 1")
    image["file_name"] = _check_path(image.get("file_name"))
    for name in ("width", "height"):
        given = read_side(image, name)
        if given is None:
            image.pop(name, None)
        else:
            image[name] = given
    image["coco_url"] = _clean_text(image.get("coco_url"))
    image.pop(SPLIT_KEY, None)  # ours alone: the hash of the id decides


def read_side(image: Entry, name: str) -> int | None:
    """The `width` or `height` of an entry in px, None where it is not given; raise `ValueError` where it is none."""
    if image.get(name) is None:
        return None
    px = _read_whole(image, name)
    if px < 1:
        raise ValueError(f"its {name} is {px}; expected px, 1 or more")
    return px


def parse(
    content: bytes, where: str, check_image: Callable[[Entry], None] = check_image
) -> tuple[Entry, dict[str, Passed]]:
    """Read an instances file.

    Images without `license`, or with one that the file does not list, get a license named "unknown". What else the
    photo store needs and the file does not have is empty. Whole floats become integers.

    Args:
        content: the file.
        where: its name, for errors.
        check_image: raises `ValueError` for images that the source cannot use.

    Returns:
        The dictionary, and what is passed over, by its lists.

    Raises:
        UserError: as `load` does, or no image can be used.
    """
    dataset = load(content, where)
    passed: dict[str, Passed] = {}
    for key, check in (CHECKS | {"images": check_image}).items():
        dataset[key], passed[key] = _select_usable(dataset.get(key), key, check)
    dataset["images"], repeated = _select_distinct(dataset["images"])
    passed["images"].reasons.extend(repeated)
    refuse_empty(dataset, passed, where)
    dataset["annotations"], without_image = _select_annotations(dataset)
    passed["annotations"].reasons.extend(without_image)
    passed["licenses of images"] = Passed(len(dataset["images"]), _fill_in_licenses(dataset))
    return dataset, passed


def refuse_empty(dataset: Entry, passed: dict[str, Passed], where: str) -> None:
    """Raise `UserError` where no image is left."""
    if not dataset["images"]:
        reasons = passed["images"].reasons
        why = f"none of its images can be used: {_quote_first(reasons)}" if reasons else "lists no images"
        raise UserError(f"{where}: {why}; expected a COCO instances file of these pictures, mend it or name another")


def report(passed: dict[str, Passed], where: str) -> None:
    """Say on stderr, in a line for each list, how many entries are passed over and why the first is."""
    for key, (total, reasons) in passed.items():
        if reasons:
            print(
                f"note: {where}: passed over {len(reasons)} of {total} {key}: {_quote_first(reasons)}", file=sys.stderr
            )


def select_outlines(dataset: Entry) -> tuple[Entry, list[str]]:
    """The dictionary with those annotations alone that outline something in one of its images.

    Returns:
        The dictionary, and why each of the other annotations is passed over.
    """
    sizes = {image["id"]: (image["height"], image["width"]) for image in dataset["images"]}
    annotations, reasons = _select_annotations(dataset)
    kept, seen = [], set()
    for annotation in annotations:
        if annotation["id"] in seen:
            reason = "an annotation before it has the same id"
        else:
            reason = segmentation.find_fault(annotation.get("segmentation"), *sizes[annotation["image_id"]])
        if reason:
            reasons.append(f"annotation {excerpt(annotation['id'])}: {reason}")
        else:
            seen.add(annotation["id"])
            kept.append(annotation)
    return dataset | {"annotations": kept}, reasons


def select_images(dataset: Entry, image_ids: Collection[int]) -> Entry:
    """The dictionary with these images alone, by id, and their annotations; all else is kept."""
    images = sorted((image for image in dataset["images"] if image["id"] in image_ids), key=lambda image: image["id"])
    annotations = [annotation for annotation in dataset["annotations"] if annotation["image_id"] in image_ids]
    return dataset | {"images": images, "annotations": annotations}


def check_size(image: Entry, sides: tuple[int, int], where: str) -> None:
    """Raise `UserError` unless width and height are those of the entry; an EXIF tag may have exchanged them."""
    width, height = sides
    if sorted(sides) != sorted((image["width"], image["height"])):
        raise UserError(
            f"{where}: {width} x {height} px, but {image['width']} x {image['height']} in the annotations; "
            "expected the picture that was annotated"
        )


def _select_usable(entries: Any, key: str, check: Callable[[Entry], None]) -> tuple[list[Entry], Passed]:
    """The entries that pass, and why each of the others does not."""
    if entries is None:
        return [], Passed(0, [])
    if not isinstance(entries, list):
        return [], Passed(1, [f"{key} is {excerpt(entries)}; expected a list"])
    kept: list[Entry] = []
    reasons: list[str] = []
    for number, entry in enumerate(entries):
        try:
            if not isinstance(entry, dict):
                raise ValueError(f"it is {excerpt(entry)}; expected an object")
            check(entry)
            kept.append(entry)
        except ValueError as error:
            known = isinstance(entry, dict) and type(entry.get("id")) is int
            reasons.append(f"{SINGULAR[key]} {excerpt(entry['id'])}: {error}" if known else f"{key}[{number}]: {error}")
    return kept, Passed(len(entries), reasons)


def _check_annotation(annotation: Entry) -> None:
    annotation["id"], annotation["image_id"] = _read_whole(annotation, "id"), _read_whole(annotation, "image_id")
    category_id = annotation.get("category_id")
    annotation["category_id"] = None if category_id is None else _read_whole(annotation, "category_id")
    if annotation.get("iscrowd") not in (None, 0, 1):
        raise ValueError(f"its iscrowd is {excerpt(annotation['iscrowd'])}; expected 0 or 1")


def _check_category(entry: Entry) -> None:
    entry["id"] = _read_whole(entry, "id")
    if not isinstance(entry.get("name"), str):
        raise ValueError(f"its name is {excerpt(entry.get('name'))}; expected a text")


def _check_license(entry: Entry) -> None:
    entry["id"] = _read_whole(entry, "id")
    entry["name"], entry["url"] = _clean_text(entry.get("name")), _clean_text(entry.get("url"))


CHECKS: dict[str, Callable[[Entry], None]] = {
    "licenses": _check_license,
    "categories": _check_category,
    "images": check_image,
    "annotations": _check_annotation,
}
SINGULAR = {"licenses": "license", "categories": "category", "images": "image", "annotations": "annotation"}


def _read_whole(entry: Entry, name: str) -> int:
    value = entry.get(name)
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    raise ValueError(f"its {name} is {excerpt(value)}; expected a whole number below 2^63")


def _clean_text(value: Any) -> str:
    """A text that can be written as UTF-8, empty where there is none."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _check_path(name: Any) -> str:
    """A plain relative path, with `/`."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"its file_name is {excerpt(name)}; expected a name")
    if any(category(character) in {"Cc", "Cs"} for character in name):
        raise ValueError(f"its file_name {excerpt(name)} has characters that cannot be written; expected a plain name")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError(f"its file_name {excerpt(name)} does not stay inside its folder; expected a relative path")
    if any(len(each.encode()) > LONGEST_NAME for each in path.parts):
        raise ValueError(f"its file_name {excerpt(name)} is longer than a disk holds; expected {LONGEST_NAME} bytes")
    return str(path)


def _select_distinct(images: list[Entry]) -> tuple[list[Entry], list[str]]:
    """Those with an id and a file of their own; of the same entry twice the first."""
    names = defaultdict(set)
    for image in images:
        names[image["id"]].add(normalize("NFC", image["file_name"]))
    kept: list[Entry] = []
    reasons: list[str] = []
    seen: set[str] = set()
    for image in images:
        name = normalize("NFC", image["file_name"])
        if len(names[image["id"]]) > 1:
            reasons.append(f"image {image['id']}: {len(names[image['id']])} images have this id")
        elif name in seen:
            reasons.append(
                f"image {image['id']}: an image before it has the file_name {excerpt(image['file_name'])} too"
            )
        else:
            seen.add(name)
            kept.append(image)
    return kept, reasons


def _select_annotations(dataset: Entry) -> tuple[list[Entry], list[str]]:
    """The annotations of images that are in use, and why each of the others is passed over."""
    ids = {image["id"] for image in dataset["images"]}
    kept: list[Entry] = []
    reasons: list[str] = []
    for annotation in dataset["annotations"]:
        if annotation["image_id"] in ids:
            kept.append(annotation)
        else:
            what = f"none of the images in use has the id {excerpt(annotation['image_id'])}"
            reasons.append(f"annotation {excerpt(annotation['id'])}: {what}")
    return kept, reasons


def _fill_in_licenses(dataset: Entry) -> list[str]:
    """Give images a license that is listed; return which licenses were not."""
    listed = {license_["id"] for license_ in dataset["licenses"]}
    unknown = {"id": max(listed, default=0) + 1, "name": "unknown", "url": ""}
    reasons: list[str] = []
    for image in dataset["images"]:
        given = image.get("license")
        if not (type(given) in {int, float} and given in listed):
            if given is not None:
                reasons.append(f"image {image['id']}: its license is {excerpt(given)}, which the file does not list")
            given = unknown["id"]
        image["license"] = int(given)
    if any(image["license"] == unknown["id"] for image in dataset["images"]):
        dataset["licenses"] = [*dataset["licenses"], unknown]
    return reasons


def _quote_first(reasons: list[str]) -> str:
    return reasons[0] if len(reasons) == 1 else f"the first, {reasons[0]}"
