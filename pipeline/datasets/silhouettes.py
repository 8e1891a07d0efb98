"""Silhouettes of COCO instances: the outlines that the `object` corruption cuts out."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from pipeline.datasets import instances, segmentation
from pipeline.runtime.errors import UserError

SMALLEST = 32**2  # px; below is COCO's "small" (Lin et al., 2014), whose outlines are crude


@dataclass(frozen=True)
class Silhouette:
    """An instance, compressed.

    `rle` is pycocotools' run-length encoding of its mask in its own photo, `side` the shorter side of that photo,
    `area` its pixels, `box` the height and width of its bounding box, all in px.
    """

    rle: dict[str, Any]
    side: int
    area: int
    box: tuple[int, int]

    def shape(self) -> np.ndarray:
        """Its mask, bool HW, cut to the bounding box."""
        left, top, width, height = coco_mask.toBbox(self.rle).astype(int)
        return coco_mask.decode(self.rle)[top : top + height, left : left + width].astype(bool)


def read(folder: Path) -> dict[int, list[Silhouette]]:
    """The silhouettes of the photo store by image id, without crowds and small ones: stderr says how many those are.

    Raises:
        UserError: an annotation that is no outline; the download stage writes none.
    """
    silhouettes: dict[int, list[Silhouette]] = {}
    crowds = small = 0
    for path in instances.list_files(folder):
        dataset = json.loads(path.read_text())
        sizes = {image["id"]: (image["height"], image["width"]) for image in dataset["images"]}
        for annotation in dataset["annotations"]:
            try:
                silhouette = compress(annotation.get("segmentation"), *sizes[annotation["image_id"]])
            except (KeyError, ValueError) as error:
                what = f"{path}: annotation {annotation.get('id')} is no outline ({error})"
                raise UserError(f"{what}; make it again (dvc repro -f download)") from None
            crowd = bool(annotation.get("iscrowd"))
            crowds += crowd
            small += not crowd and silhouette.area < SMALLEST
            if not crowd and silhouette.area >= SMALLEST:
                silhouettes.setdefault(annotation["image_id"], []).append(silhouette)
    counts = {"crowds": crowds, f"outlines below {SMALLEST} px": small}
    if left_out := " and ".join(f"{count} {name}" for name, count in counts.items() if count):
        print(f"note: {folder}: {left_out} are not cut out", file=sys.stderr)
    return silhouettes


def compress(outline: Any, height: int, width: int) -> Silhouette:
    """From a segmentation as COCO has them.

    Raises:
        ValueError: it is no outline in a photo of this height and width in px.
    """
    rle = segmentation.run_lengths(outline, height, width)
    _, _, box_width, box_height = coco_mask.toBbox(rle).astype(int).tolist()
    return Silhouette(rle, min(height, width), int(coco_mask.area(rle)), (box_height, box_width))
