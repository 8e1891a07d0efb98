"""The mask of an object that shall go: from a box, a point on it, or a COCO annotation. Bool HW, upright."""

import sys
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from unicodedata import normalize

import cv2
import numpy as np
from PIL import Image

from pipeline.inference.image_file import UPRIGHT, Picture
from pipeline.runtime.errors import UserError, excerpt, explain_os_error

RIM = 0.008  # of the picture's shorter side: what is taken with the object, as outlines are drawn close
REACH = 0.4  # of that side: how far around a point an object is looked for
SEED = 0.08  # of that side: what is surely the object, around the point; with REACH, the best on photos of train2017
LONGEST = 256  # px: side at which the object is looked for
ROUNDS = 5  # of GrabCut


def in_box(size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """All that lies in a box: left, top, right, bottom in px, the last two excluded.

    Raises:
        UserError: it has no inside, or nothing of it lies inside the picture of this height and width.
    """
    left, top, right, bottom = box
    if left >= right or top >= bottom:
        raise UserError(f"the box {left},{top},{right},{bottom} has no inside; left and top come first")
    hole = np.zeros(size, bool)
    hole[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    if not hole.any():
        raise UserError(f"the box {left},{top},{right},{bottom} holds nothing of a picture of {size[1]} x {size[0]} px")
    return hole


def at_point(image: np.ndarray, point: tuple[int, int]) -> np.ndarray:
    """What GrabCut (Rother et al. 2004) takes for the object at a point (x, y), with a rim: a guess, to be looked at.

    It is for objects of a fiftieth to a third of the picture, pointed at in their middle; `benchmarks/remove.py`
    measures how often it is right.

    Args:
        image: uint8 RGB HW3.
        point: in px.

    Raises:
        UserError: the point lies outside the picture, or the picture is too small.
    """
    height, width = image.shape[:2]
    x, y = point
    if not (0 <= x < width and 0 <= y < height):
        raise UserError(f"the point {x},{y} lies outside the picture of {width} x {height} px")
    scale = min(1.0, LONGEST / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    centre, side = (min(int(x * scale), size[0] - 1), min(int(y * scale), size[1] - 1)), min(small.shape[:2])
    labels = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
    cv2.circle(labels, centre, max(2, round(REACH * side)), cv2.GC_PR_BGD, -1)
    cv2.circle(labels, centre, max(2, round(REACH * side / 2)), cv2.GC_PR_FGD, -1)
    cv2.circle(labels, centre, max(1, round(SEED * side)), cv2.GC_FGD, -1)
    if (labels != cv2.GC_BGD).all():  # GrabCut needs some background
        raise UserError("the picture is too small to find an object at a point; give a box")
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(small[..., ::-1]), labels, (0, 0, 1, 1), *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    _, parts = cv2.connectedComponents(found)
    whole = (parts == parts[centre[1], centre[0]]).astype(np.uint8)
    return with_rim(cv2.resize(whole, (width, height), interpolation=cv2.INTER_NEAREST).astype(bool))


def of_annotation(path: Path, annotation_id: int, before: Picture, source: Path) -> np.ndarray:
    """The silhouette of an instance in a COCO annotation file, with a rim.

    An annotation drawn before the picture's EXIF tag turned it upright is turned with it, where its size tells so.
    Where nothing tells whether it was, or whether the picture is the annotated one, stderr says so.

    Args:
        path: `instances_*.json`.
        annotation_id: of the instance.
        before: the picture, which must be the annotated one.
        source: its file.

    Raises:
        UserError: no such annotation, none that outlines something, or one of a picture of another name or size.
    """
    try:
        from pycocotools import mask as coco_mask

        from pipeline.datasets import segmentation
    except ImportError as error:
        raise UserError(f"{error.name} is not installed, and reads COCO's annotations; install it") from None
    where = f"{path}: annotation {annotation_id}"
    annotation, image = _annotation(path, annotation_id)
    _check_name(image.get("file_name"), source, where)
    width, height = _sides(image, before, source, where)
    try:
        encoded = segmentation.run_lengths(annotation.get("segmentation"), height, width)
    except ValueError as error:
        raise UserError(
            f"{where}: {error}; mend the annotation, or give a box, --remove LEFT,TOP,RIGHT,BOTTOM"
        ) from None
    hole = coco_mask.decode(encoded).astype(bool)
    if not hole.any():
        raise UserError(f"{where} holds nothing of the picture; give a box, --remove LEFT,TOP,RIGHT,BOTTOM")
    if (width, height) != before.size:
        hole = np.asarray(before.upright(Image.fromarray(hole)))
    return with_rim(hole)


def _annotation(path: Path, annotation_id: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The annotation, and its image's entry."""
    dataset = _instances(path)
    found = [entry for entry in dataset["annotations"] if isinstance(entry, dict) and entry.get("id") == annotation_id]
    if not found:
        raise UserError(f"{path}: no annotation {annotation_id}; see the ids of its annotations")
    if len(found) > 1:
        raise UserError(f"{path}: {len(found)} annotations have the id {annotation_id}; give each its own")
    image_id = found[0].get("image_id")
    images = [entry for entry in dataset["images"] if isinstance(entry, dict) and entry.get("id", "none") == image_id]
    if len(images) != 1:
        what = f"{path}: annotation {annotation_id}: {len(images)} images have its image_id"
        raise UserError(f"{what}; expected one, mend the file")
    return found[0], images[0]


def _check_name(annotated: Any, source: Path, where: str) -> None:
    """Raise `UserError` where another picture was annotated; its folder, suffix and upper case do not matter."""
    if not isinstance(annotated, str):
        warning = "names no picture; make sure that it is of this one"
        print(f"warning: {source}: {where} {warning}", file=sys.stderr)
    elif _stem(annotated) != _stem(source.name):
        remedy = "give that picture, or this one under that name if it is the same"
        raise UserError(f"{where} is of {excerpt(annotated)}, not of {source.name}; {remedy}")


def _stem(name: str) -> str:
    return normalize("NFC", PurePosixPath(name.replace("\\", "/")).stem).casefold()


def _sides(image: dict[str, Any], before: Picture, source: Path, where: str) -> tuple[int, int]:
    """Width and height of the picture as it was annotated: upright, or as its file has it."""
    from pipeline.datasets import instances

    try:
        given = instances.read_side(image, "width"), instances.read_side(image, "height")
    except ValueError as error:
        raise UserError(f"{where}: in its image's entry, {error}; mend it") from None
    fitting = [
        sides
        for sides in (before.size, before.stored.size)
        if all(known in (side, None) for known, side in zip(given, sides, strict=True))
    ]
    if not fitting:
        sizes = f"a picture of {given[0]} x {given[1]} px; this one has {before.size[0]} x {before.size[1]}"
        raise UserError(f"{where} is of {sizes}: give the annotated one")
    if len(fitting) == 2 and before.orientation in UPRIGHT:
        warning = "is taken as drawn on the picture as its EXIF tag turns it; look at it with --save-mask"
        print(f"warning: {source}: {where} {warning}", file=sys.stderr)
    return fitting[0]


@lru_cache(maxsize=2)
def _instances(path: Path) -> dict[str, Any]:
    from pipeline.datasets import instances

    try:
        dataset = instances.load(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(explain_os_error(error, path)) from None
    for key in ("images", "annotations"):
        if not isinstance(dataset.get(key), list):
            raise UserError(f"{path}: not a COCO instances file; expected the lists images and annotations")
    return dataset


def with_rim(hole: np.ndarray) -> np.ndarray:
    """The mask, wider by `RIM`."""
    width = max(1, round(RIM * min(hole.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1,) * 2)
    return cv2.dilate(hole.astype(np.uint8), disc).astype(bool)
