import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.inference import select_object
from pipeline.inference.image_file import Picture
from pipeline.runtime.errors import UserError


def test_a_box_is_cut_to_the_picture():
    hole = select_object.in_box((20, 30), (-5, 10, 4, 99))
    assert hole.sum() == 4 * 10
    with pytest.raises(UserError, match="holds nothing"):
        select_object.in_box((20, 30), (40, 0, 50, 10))
    with pytest.raises(UserError, match="the box 9,9,4,4 has no inside; left and top come first"):
        select_object.in_box((20, 30), (9, 9, 4, 4))


def test_the_object_at_a_point_is_found():
    image = np.full((200, 300, 3), 200, np.uint8) + np.random.default_rng(0).integers(-20, 20, (200, 300, 3)).astype(
        np.uint8
    )
    y, x = np.mgrid[:200, :300]
    disc = (x - 150) ** 2 + (y - 90) ** 2 < 20**2
    image[disc] = (180, 40, 30)
    hole = select_object.at_point(image, (155, 95))
    assert hole[disc].mean() > 0.95
    assert hole.sum() < 2 * disc.sum()
    with pytest.raises(UserError, match="outside the picture"):
        select_object.at_point(image, (300, 10))


OUTLINE = [[10, 10, 30, 10, 30, 20, 10, 20]]
SOURCE = Path("photos/a.png")


def annotations(folder: Path, image: dict | None = None, **annotation) -> Path:
    path = folder / "instances.json"
    images = [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 40} | (image or {})]
    entries = [{"id": 7, "image_id": 1, "segmentation": OUTLINE} | annotation]
    path.write_text(json.dumps({"images": images, "annotations": entries}))
    return path


def stored(width: int = 60, height: int = 40, orientation: int = 1) -> Picture:
    return Picture(Image.new("RGB", (width, height)), orientation, {})


@pytest.mark.parametrize(
    "image", [{}, {"file_name": "./sub/A.JPG"}, {"file_name": "sub\\a.tif"}, {"width": 60.0}, {"height": None}]
)
def test_an_annotation_gives_its_silhouette(tmp_path, image, capsys):
    hole = select_object.of_annotation(annotations(tmp_path, image), 7, stored(), SOURCE)
    assert hole.shape == (40, 60)
    assert hole[10:20, 10:30].all()
    assert hole.sum() < 1.5 * 200
    assert capsys.readouterr().err == ""


def test_an_annotation_of_the_stored_picture_is_turned_upright_with_it(tmp_path, capsys):
    hole = select_object.of_annotation(annotations(tmp_path), 7, stored(orientation=6), SOURCE)
    assert hole.shape == (60, 40)
    assert hole[10:30, 20:30].all()  # a quarter turn to the right
    assert hole.sum() < 1.5 * 200
    assert capsys.readouterr().err == ""


def test_an_annotation_of_the_upright_picture_stays(tmp_path, capsys):
    hole = select_object.of_annotation(annotations(tmp_path), 7, stored(40, 60, orientation=6), SOURCE)
    assert hole[10:20, 10:30].all()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("image", "picture"),
    [
        ({}, stored(orientation=3)),
        ({"width": 50, "height": 50}, stored(50, 50, 6)),
        ({"width": None, "height": None}, stored(40, 60, 6)),
    ],
)
def test_where_nothing_tells_whether_it_was_turned_a_warning_says_so(tmp_path, image, picture, capsys):
    assert select_object.of_annotation(annotations(tmp_path, image), 7, picture, SOURCE)[10:20, 10:30].all()
    said = capsys.readouterr().err
    assert said.startswith("warning: photos/a.png: ") and "EXIF" in said and said.count("\n") == 1


def test_an_annotation_that_names_no_picture_is_a_warning(tmp_path, capsys):
    path = annotations(tmp_path, {"file_name": None})
    assert select_object.of_annotation(path, 7, stored(), SOURCE).any()
    assert "annotation 7 names no picture" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["b.jpg", "aa.jpg", "a.jpg/b.jpg", ""])
def test_an_annotation_of_another_picture_is_refused_by_its_name(tmp_path, name):
    with pytest.raises(UserError, match=rf"annotation 7 is of '{name}', not of a.png; give that picture"):
        select_object.of_annotation(annotations(tmp_path, {"file_name": name}), 7, stored(), SOURCE)


def test_a_long_name_is_told_in_a_short_line(tmp_path):
    with pytest.raises(UserError, match="annotation 7 is of 'bbb") as refusal:
        select_object.of_annotation(annotations(tmp_path, {"file_name": "b" * 70_000}), 7, stored(), SOURCE)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("width", ["60", "6" * 70_000, 0, 10**4200, [60], True], ids=lambda width: str(width)[:9])
def test_a_side_that_is_no_number_of_pixels_is_told_as_such(tmp_path, width):
    with pytest.raises(
        UserError, match=r"annotation 7: in its image's entry, its width is .*; expected .*; mend it"
    ) as refusal:
        select_object.of_annotation(annotations(tmp_path, {"width": width}), 7, stored(), SOURCE)
    assert len(str(refusal.value)) < 300


def test_an_annotation_of_another_size_is_refused(tmp_path):
    with pytest.raises(UserError, match="annotation 7 is of a picture of 60 x 40 px; this one has 50 x 40"):
        select_object.of_annotation(annotations(tmp_path), 7, stored(50, 40), SOURCE)


@pytest.mark.parametrize(
    "segmentation",
    [
        *(None, [], {}, "x", OUTLINE[0], [[1, 2, 3, 4]], [[]], [[1e9, 10, 30, 10, 30, 20]], [[None, 1, 2, 3, 4, 5]]),
        *({"size": [0, 0], "counts": [5]}, {"size": [40, 60], "counts": [0, 9999]}, {"counts": [1]}),
        {"size": [40, 60], "counts": "PPYo0"},
    ],
)
def test_an_annotation_without_an_outline_is_refused_with_what_to_do(tmp_path, segmentation):
    path = annotations(tmp_path, segmentation=segmentation)
    with pytest.raises(UserError, match=r"annotation 7: .*; mend the annotation, or give a box, --remove LEFT"):
        select_object.of_annotation(path, 7, stored(), SOURCE)


@pytest.mark.parametrize(
    "segmentation", [[[-50, -50, -30, -50, -30, -20]], [[5, 5, 5, 5, 5, 5]], {"size": [40, 60], "counts": [2400]}]
)
def test_an_outline_of_nothing_is_refused(tmp_path, segmentation):
    with pytest.raises(UserError, match="annotation 7 holds nothing of the picture"):
        select_object.of_annotation(annotations(tmp_path, segmentation=segmentation), 7, stored(), SOURCE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "not a COCO instances file"),
        ("{}", "not a COCO instances file"),
        ('{"images": {}, "annotations": []}', "not a COCO instances file"),
        ("{", "not JSON"),
        ("[" * 3000, "nested too deeply"),
        ('{"annotations": [{"id": 7}], "images": [], "annotations": []}', "no annotation 7"),
        ('{"images": [], "annotations": []}', "no annotation 7"),
        ('{"images": [], "annotations": [null, 7, {"id": "7"}, {"id": [7]}]}', "no annotation 7"),
        ('{"images": [], "annotations": [{"id": 7}]}', "0 images have its image_id"),
        ('{"images": [{}], "annotations": [{"id": 7}]}', "0 images have its image_id"),
        ('{"images": [{"id": 1}, {"id": 1}], "annotations": [{"id": 7, "image_id": 1}]}', "2 images have its image_id"),
        ('{"images": [], "annotations": [{"id": 7}, {"id": 7}]}', "2 annotations have the id 7"),
    ],
)
def test_a_file_without_that_annotation_is_one_line(tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as refusal:
        select_object.of_annotation(path, 7, stored(), SOURCE)
    assert "\n" not in str(refusal.value)


def test_a_key_that_comes_twice_is_no_reason_to_refuse_an_annotation_and_is_said(tmp_path, capsys):
    path = annotations(tmp_path)
    path.write_text(path.read_text().replace('"id": 7', f'"id": 6, "score": {"9" * 5000}, "id": 7'))
    assert select_object.of_annotation(path, 7, stored(), SOURCE)[10:20, 10:30].all()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"note: {path}: the first of 2 oddities: a number has 5000 digits; inf is taken"


def test_no_annotations_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"gone\.json: No such file"):
        select_object.of_annotation(tmp_path / "gone.json", 7, stored(), SOURCE)
    with pytest.raises(UserError, match="Is a directory"):
        select_object.of_annotation(tmp_path, 7, stored(), SOURCE)
