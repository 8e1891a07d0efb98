"""The mask of an object that shall go: from a box, a point on it, or a COCO annotation. Bool HW, upright."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.errors import UserError

RIM = 0.008  # of the picture's shorter side: what is taken with the object, as outlines are drawn close
REACH = 0.25  # of that side: how far around a point an object is looked for
SEED = 0.02  # of that side: what is surely the object, around the point
LONGEST = 512  # px: side at which the object is looked for
ROUNDS = 5  # of GrabCut


def in_box(size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """All that lies in a box: left, top, right, bottom in px, the last two excluded.

    Raises:
        UserError: nothing of it lies inside the picture of this height and width.
    """
    left, top, right, bottom = box
    hole = np.zeros(size, bool)
    hole[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    if not hole.any():
        raise UserError(f"the box {left},{top},{right},{bottom} holds nothing of a picture of {size[1]} x {size[0]} px")
    return hole


def at_point(image: np.ndarray, point: tuple[int, int]) -> np.ndarray:
    """What GrabCut (Rother et al. 2004) takes for the object at a point (x, y): a guess, to be looked at.

    Args:
        image: uint8 RGB HW3.
        point: in px.

    Raises:
        UserError: the point lies outside the picture.
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
    if (labels != cv2.GC_BGD).all():  # a tiny picture: GrabCut needs some background
        raise UserError("the picture is too small to find an object at a point; give a box")
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(small[..., ::-1]), labels, (0, 0, 1, 1), *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    _, parts = cv2.connectedComponents(found)
    whole = (parts == parts[centre[1], centre[0]]).astype(np.uint8)
    return with_rim(cv2.resize(whole, (width, height), interpolation=cv2.INTER_NEAREST).astype(bool))


def of_annotation(path: Path, annotation_id: int, size: tuple[int, int]) -> np.ndarray:
    """The silhouette of an instance in a COCO annotation file, with a rim.

    Args:
        path: `instances_*.json`.
        annotation_id: of the instance.
        size: height and width of the picture, which must be those of the annotated one, in px.

    Raises:
        UserError: no such annotation, or of a picture of another size.
    """
    try:
        from pycocotools import mask as coco_mask

        from pipeline.silhouettes import compress
    except ImportError as error:
        raise UserError(f"{error.name} is not installed, and reads COCO's annotations; install it") from None
    by_id = _instances(path)
    try:
        annotation = by_id["annotations"][annotation_id]
        image = by_id["images"][annotation["image_id"]]
    except KeyError:
        raise UserError(f"{path}: no annotation {annotation_id}; see the ids of its annotations") from None
    if (image["height"], image["width"]) != size:
        raise UserError(
            f"{path}: annotation {annotation_id} is of {image['file_name']}, {image['width']} x {image['height']}"
            f" px; this picture has {size[1]} x {size[0]}"
        )
    encoded = compress(annotation["segmentation"], *size).rle
    return with_rim(coco_mask.decode(encoded).astype(bool))


@lru_cache(maxsize=2)
def _instances(path: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """Images and annotations, each by id."""
    try:
        dataset = json.loads(path.read_bytes())
        return {key: {entry["id"]: entry for entry in dataset[key]} for key in ("images", "annotations")}
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a COCO instances file ({error}); expected images and annotations") from None


def with_rim(hole: np.ndarray) -> np.ndarray:
    """The mask, wider by `RIM`."""
    width = max(1, round(RIM * min(hole.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1,) * 2)
    return cv2.dilate(hole.astype(np.uint8), disc).astype(bool)
