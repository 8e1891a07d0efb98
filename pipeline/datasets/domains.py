"""Which photos belong to which of two domains, and which part of a photo: for what is learned without pairs."""

import hashlib
import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

from pipeline.datasets import instances, photos
from pipeline.datasets.photos import Photo
from pipeline.params import Domains
from pipeline.runtime.errors import UserError, excerpt

SALT = b"mendline domains"
FEWEST = 8  # pictures of a domain to learn from
SMALLEST = 32  # px: the shorter side of an instance that is cut out

Box = tuple[float, float, float, float]
"""Left, top, width and height in px."""


@dataclass(frozen=True)
class View:
    """A photo, or an instance in it.

    Attributes:
        photo: the photo.
        box: of the instance; None for all of the photo.
    """

    photo: Photo
    box: Box | None = None


Pair = tuple[list[View], list[View]]
"""The pictures of the first domain and those of the second."""


def assign(folder: Path, splits: dict[str, list[Photo]], domains: Domains) -> dict[str, Pair]:
    """The two domains of each split; no photo of one split is in another.

    Args:
        folder: the photo store.
        splits: the photos of each split.
        domains: what tells the domains apart. Where that is done to the photos themselves, one half of those of train
            is the first domain and the other half the second; those of val and test are in both, as the truth is known.

    Raises:
        UserError: a domain has too few pictures, or shares some with the other; or there is no such folder or category.
    """
    match domains.by:
        case "folders":
            found = _by_folder(folder, splits, domains.folders)
        case "categories":
            found = _by_category(folder, splits, domains.categories)
        case _:
            found = {
                split: _halves(members) if split == "train" else _same(members) for split, members in splits.items()
            }
    for split, pair in found.items():
        for views, which in zip(pair, ("first", "second"), strict=True):
            least = FEWEST if split == "train" else 1
            if len(views) < least:
                raise UserError(
                    f"{folder}: the {which} domain of corrupt.domains has {len(views)} pictures in {split}; expected "
                    f"{least} at least, get more photos"
                )
    return found


def _halves(members: list[Photo]) -> Pair:
    first: list[View] = []
    second: list[View] = []
    for photo in members:
        digest = hashlib.blake2b(str(photo.image_id).encode(), digest_size=8, key=SALT).digest()
        (second if digest[0] % 2 else first).append(View(photo))
    return first, second


def _same(members: list[Photo]) -> Pair:
    views = [View(photo) for photo in members]
    return views, views


def _by_folder(folder: Path, splits: dict[str, list[Photo]], names: list[str]) -> dict[str, Pair]:
    """Those in folders of these names, at any depth."""
    wanted = [PurePosixPath(name).parts for name in names]
    inside = {
        photo.image_id: [_lies_in(PurePosixPath(photo.member), parts) for parts in wanted]
        for members in splits.values()
        for photo in members
    }
    for name, is_in in zip(names, zip(*inside.values(), strict=True), strict=True):
        if not any(is_in):
            raise UserError(f"{folder}: no photo lies in a folder {excerpt(name)}; change corrupt.domains.folders")
    _refuse_shared(folder, inside, names)
    whole: dict[int, list[list[Box | None]]] = {
        image_id: [[None] if is_in else [] for is_in in both] for image_id, both in inside.items()
    }
    return _of_each(splits, whole)


def _lies_in(member: PurePosixPath, parts: tuple[str, ...]) -> bool:
    above = member.parent.parts
    return any(above[start : start + len(parts)] == parts for start in range(len(above)))


def _refuse_shared(folder: Path, inside: dict[int, list[bool]], names: list[str]) -> None:
    """Raise `UserError` where a photo, or a copy of it, lies in both folders."""
    sides: dict[str, set[int]] = defaultdict(set)
    digests = photos.digests(folder)
    for image_id, both in inside.items():
        sides[digests[image_id]] |= {side for side, is_in in enumerate(both) if is_in}
    shared = sum(len(each) > 1 for each in sides.values())
    if shared:
        raise UserError(
            f"{folder}: {shared} photos are in both of {' and '.join(names)}; name two folders of different photos in "
            "corrupt.domains.folders"
        )


def _by_category(folder: Path, splits: dict[str, list[Photo]], categories: list[list[str]]) -> dict[str, Pair]:
    """The instances of these categories; a photo that has some of both is in neither domain."""
    boxes: dict[int, list[list[Box | None]]] = defaultdict(lambda: [[], []])
    known: set[str] = set()
    for path in instances.list_files(folder):
        dataset = json.loads(path.read_text())
        names = {category["id"]: category["name"] for category in dataset["categories"]}
        for annotation in dataset["annotations"]:
            name = names.get(annotation["category_id"], "")
            known.add(name)
            box = annotation.get("bbox")
            if box and not annotation.get("iscrowd") and min(box[2:]) >= SMALLEST:
                for side, wanted in enumerate(categories):
                    if name in wanted:
                        boxes[annotation["image_id"]][side].append(tuple(box))
    for name in chain.from_iterable(categories):
        if name not in known:
            raise UserError(f"{folder}: no photo has the category {excerpt(name)}; change corrupt.domains.categories")
    mixed = [image_id for image_id, both in boxes.items() if all(both)]
    if mixed:
        print(
            f"note: {folder}: {len(mixed)} photos have both of corrupt.domains.categories, and are left out",
            file=sys.stderr,
        )
    return _of_each(splits, {image_id: both for image_id, both in boxes.items() if not all(both)})


def _of_each(splits: dict[str, list[Photo]], boxes: dict[int, list[list[Box | None]]]) -> dict[str, Pair]:
    found: dict[str, Pair] = {}
    for split, members in splits.items():
        views: Pair = [], []
        for photo in members:
            for side, own in enumerate(boxes.get(photo.image_id, [[], []])):
                views[side].extend(View(photo, box) for box in own)
        found[split] = views
    return found
