import json

import numpy as np
import pytest

from pipeline.datasets import silhouettes
from pipeline.runtime.errors import UserError

POLYGON = [[20, 10, 70, 10, 70, 50, 20, 50]]


def store(folder, *annotations):
    images = [{"id": 7, "height": 60, "width": 80}]
    (folder / "annotations").mkdir()
    path = folder / "annotations" / "instances_some.json"
    path.write_text(json.dumps({"images": images, "annotations": [{"id": 1, "image_id": 7} | a for a in annotations]}))
    return folder


def runs():
    mask = np.zeros((60, 80), np.uint8)
    mask[10:50, 20:70] = 1
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    return {"size": [60, 80], "counts": np.diff([0, *edges, flat.size]).tolist()}


@pytest.mark.parametrize("segmentation", [POLYGON, runs()], ids=["polygon", "runs"])
def test_an_outline_is_read_and_nothing_is_said(tmp_path, segmentation, capsys):
    (found,) = silhouettes.read(store(tmp_path, {"segmentation": segmentation, "iscrowd": 0}))[7]
    assert (found.side, found.area, found.box) == (60, 2000, (40, 50))
    assert found.shape().shape == (40, 50) and found.shape().all()
    assert capsys.readouterr().err == ""


def test_crowds_and_small_ones_are_left_out_and_counted(tmp_path, capsys):
    small = [[0, 0, 30, 0, 30, 30, 0, 30]]
    left_out = [
        {"segmentation": POLYGON, "iscrowd": 1},
        {"segmentation": small, "iscrowd": 0},
        {"segmentation": small},
    ]
    assert silhouettes.read(store(tmp_path, *left_out)) == {}
    said = f"note: {tmp_path}: 1 crowds and 2 outlines below 1024 px are not cut out\n"
    assert capsys.readouterr().err == said


def test_an_outline_of_exactly_the_smallest_area_is_cut_out(tmp_path, capsys):
    square = [[8, 8, 40, 8, 40, 40, 8, 40]]
    (found,) = silhouettes.read(store(tmp_path, {"segmentation": square, "iscrowd": 0}))[7]
    assert found.area == silhouettes.SMALLEST
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "annotation",
    [
        {"segmentation": [[1, 2]]},
        {"segmentation": [[1e9, 10, 70, 10, 70, 50]]},
        {"segmentation": {"size": [0, 0], "counts": [0]}},
        {"segmentation": None},
        {"segmentation": POLYGON, "image_id": 8},
    ],
)
def test_a_store_that_download_has_not_written_is_refused_in_one_line_that_names_the_annotation(tmp_path, annotation):
    with pytest.raises(UserError, match=r"instances_some\.json: annotation 1 is no outline .*dvc repro -f download"):
        silhouettes.read(store(tmp_path, annotation))
