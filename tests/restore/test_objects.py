import json

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.restore import objects


def test_a_box_is_cut_to_the_picture():
    hole = objects.in_box((20, 30), (-5, 10, 4, 99))
    assert hole.sum() == 4 * 10
    with pytest.raises(UserError, match="holds nothing"):
        objects.in_box((20, 30), (40, 0, 50, 10))


def test_the_object_at_a_point_is_found():
    image = np.full((200, 300, 3), 200, np.uint8) + np.random.default_rng(0).integers(-20, 20, (200, 300, 3)).astype(
        np.uint8
    )
    y, x = np.mgrid[:200, :300]
    disc = (x - 150) ** 2 + (y - 90) ** 2 < 20**2
    image[disc] = (180, 40, 30)
    hole = objects.at_point(image, (155, 95))
    assert hole[disc].mean() > 0.95
    assert hole.sum() < 2 * disc.sum()
    with pytest.raises(UserError, match="outside the picture"):
        objects.at_point(image, (300, 10))


def test_an_annotation_gives_its_silhouette(tmp_path):
    dataset = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}],
        "annotations": [{"id": 7, "image_id": 1, "segmentation": [[10, 10, 30, 10, 30, 20, 10, 20]]}],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(dataset))
    hole = objects.of_annotation(path, 7, (40, 60))
    assert hole[10:20, 10:30].all()
    assert not hole[:8].any()
    with pytest.raises(UserError, match="no annotation 8"):
        objects.of_annotation(path, 8, (40, 60))
    with pytest.raises(UserError, match="annotation 7 is of a.jpg, 60 x 40 px; this picture has 50 x 40"):
        objects.of_annotation(path, 7, (40, 50))
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(UserError, match="not a COCO instances file"):
        objects.of_annotation(tmp_path / "bad.json", 7, (40, 60))
