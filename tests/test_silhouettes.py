import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from pipeline import silhouettes
from pipeline.errors import UserError

SQUARE = np.zeros((60, 80), np.uint8)
SQUARE[10:50, 20:70] = 1
POLYGON = [[20, 10, 70, 10, 70, 50, 20, 50]]


def store(folder, *annotations):
    images = [{"id": 7, "height": 60, "width": 80}]
    (folder / "annotations").mkdir()
    path = folder / "annotations" / "instances_some.json"
    path.write_text(json.dumps({"images": images, "annotations": [{"id": 1, "image_id": 7} | a for a in annotations]}))
    return folder


def compressed():
    rle = coco_mask.encode(np.asfortranarray(SQUARE))
    return rle | {"counts": rle["counts"].decode()}


def uncompressed():
    flat = SQUARE.flatten(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    return {"size": [60, 80], "counts": np.diff([0, *edges, flat.size]).tolist()}


@pytest.mark.parametrize("segmentation", [POLYGON, compressed(), uncompressed()], ids=["polygon", "rle", "counts"])
def test_each_of_the_forms_of_coco_is_read(tmp_path, segmentation):
    (found,) = silhouettes.read(store(tmp_path, {"segmentation": segmentation, "iscrowd": 0}))[7]
    assert (found.side, found.area, found.box) == (60, 2000, (40, 50))
    assert found.shape().shape == (40, 50) and found.shape().all()


def test_crowds_boxes_small_and_strange_ones_are_left_out(tmp_path):
    left_out = [
        {"segmentation": POLYGON, "iscrowd": 1},
        {"segmentation": [], "iscrowd": 0},
        {"segmentation": [[0, 0, 30, 0, 30, 30, 0, 30]], "iscrowd": 0},
        {"segmentation": POLYGON, "iscrowd": 0, "image_id": 8},
    ]
    assert silhouettes.read(store(tmp_path, *left_out)) == {}


def test_nonsense_is_one_line_that_names_the_annotation(tmp_path):
    with pytest.raises(UserError, match=r"instances_some\.json: annotation 1 is not readable"):
        silhouettes.read(store(tmp_path, {"segmentation": [[1, 2]], "iscrowd": 0}))
