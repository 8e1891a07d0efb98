"""Silhouettes of COCO instances: the outlines that the `object` corruption cuts out."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from pipeline.errors import UserError
from pipeline.photos import annotation_files

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
    """The silhouettes of the photo store by image id, without crowds and small ones.

    Raises:
        UserError: an annotation that pycocotools cannot read.
    """
    silhouettes: dict[int, list[Silhouette]] = {}
    for path in annotation_files(folder):
        dataset = json.loads(path.read_text())
        sizes = {image["id"]: (image["height"], image["width"]) for image in dataset["images"]}
        for annotation in dataset["annotations"]:
            segmentation = annotation.get("segmentation")  # some tools write boxes alone
            if annotation.get("iscrowd") or not segmentation or annotation["image_id"] not in sizes:
                continue
            try:
                silhouette = compress(segmentation, *sizes[annotation["image_id"]])
            except Exception as error:  # what pycocotools raises on bad input has no narrower class
                raise UserError(
                    f"{path}: annotation {annotation['id']} is not readable ({error}); mend or remove it"
                ) from None
            if silhouette.area >= SMALLEST:
                silhouettes.setdefault(annotation["image_id"], []).append(silhouette)
    return silhouettes


def compress(segmentation: list | dict, height: int, width: int) -> Silhouette:
    """From polygons, or an uncompressed or compressed run-length encoding, as COCO has them."""
    if isinstance(segmentation, list):
        rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        rle = coco_mask.frPyObjects(segmentation, height, width)
    else:
        rle = segmentation
    _, _, box_width, box_height = coco_mask.toBbox(rle).astype(int).tolist()
    return Silhouette(rle, min(height, width), int(coco_mask.area(rle)), (box_height, box_width))
