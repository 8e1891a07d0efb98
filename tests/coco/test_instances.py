import json

import pytest

from pipeline.coco import instances
from pipeline.errors import UserError
from tests.coco.host import dataset


def parse(content) -> dict:
    return instances.parse(json.dumps(content).encode(), "instances.json")


def test_a_complete_file_is_read_as_it_is():
    assert parse(dataset(range(5))) == dataset(range(5))


def test_images_without_a_license_get_an_unknown_one():
    content = dataset(range(3))
    del content["licenses"], content["images"][0]["license"], content["images"][0]["coco_url"]
    content["images"][1]["license"] = None
    read = parse(content)
    assert read["licenses"] == [{"id": 1, "name": "unknown", "url": ""}]
    assert {image["license"] for image in read["images"]} == {1}
    assert read["images"][0]["coco_url"] == ""


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/../b.jpg", "..", ".", "", "a\\b.jpg", "a//b.jpg", "./a.jpg"]
)
def test_a_file_name_that_leaves_its_folder_is_refused_by_name(name):
    content = dataset(range(3))
    content["images"][1]["file_name"] = name
    with pytest.raises(UserError, match=r"^instances.json: images\[1\].file_name"):
        parse(content)


def test_the_refusal_names_the_hostile_file_name():
    content = dataset(range(3))
    content["images"][1]["file_name"] = "../../x.jpg"
    with pytest.raises(UserError, match=r"'../../x.jpg' does not stay inside its folder"):
        parse(content)


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b"[]", b"{}", b'{"images": {}}'])
def test_what_is_not_an_instances_file_is_refused(content):
    with pytest.raises(UserError, match=r"^instances.json: .*expected") as refusal:
        instances.parse(content, "instances.json")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("key", "field"),
    [("images", "id"), ("images", "file_name"), ("annotations", "image_id"), ("annotations", "category_id")],
)
def test_a_missing_key_is_named(key, field):
    content = dataset(range(3))
    del content[key][1][field]
    with pytest.raises(UserError, match=rf"{key}\[1\].{field}: Field required"):
        parse(content)


@pytest.mark.parametrize("field", ["id", "file_name"])
def test_images_that_share_an_id_or_a_name_are_refused(field):
    content = dataset(range(3))
    content["images"][2][field] = content["images"][1][field]
    with pytest.raises(UserError, match=f"2 images have the {field}"):
        parse(content)


def test_a_file_without_images_is_refused():
    with pytest.raises(UserError, match="lists no images"):
        parse(dataset(range(0)))


def test_a_picture_has_the_annotated_size_either_way_round():
    image = {"width": 12, "height": 8}
    instances.check_size(image, (12, 8), "a.jpg")
    instances.check_size(image, (8, 12), "a.jpg")
    with pytest.raises(UserError, match="a.jpg: 12 x 9 px, but 12 x 8 in the annotations"):
        instances.check_size(image, (12, 9), "a.jpg")
