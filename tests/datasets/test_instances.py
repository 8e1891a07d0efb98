import copy
import json

import pytest

from pipeline.datasets import instances
from pipeline.runtime.errors import UserError
from tests.sources.coco.host import dataset


def parse(content) -> tuple[dict, dict[str, list[str]]]:
    read, passed = instances.parse(json.dumps(content).encode(), "instances.json")
    return read, {key: reasons for key, (_, reasons) in passed.items() if reasons}


def test_a_complete_file_is_read_as_it_is():
    assert parse(dataset(range(5))) == (dataset(range(5)), {})
    assert instances.select_outlines(dataset(range(5))) == (dataset(range(5)), [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_encoding_of_json_is_read(encoding):
    content = json.dumps(dataset(range(5))).encode(encoding)
    assert instances.parse(content, "instances.json")[0] == dataset(range(5))


def test_missing_and_null_fields_are_filled_in_and_whole_floats_are_integers():
    content = {
        "images": [
            {"id": 1.0, "file_name": "a.jpg", "width": 12.0, "height": None, "coco_url": None, "license": None},
            {"id": 2, "file_name": "b.jpg"},
        ],
        "annotations": [{"id": 5.0, "image_id": 1.0, "iscrowd": None}, {"id": -6, "image_id": 2, "iscrowd": 0.0}],
        "categories": None,
    }
    read, passed = parse(content)
    assert not passed
    assert read["images"] == [
        {"id": 1, "file_name": "a.jpg", "width": 12, "coco_url": "", "license": 1},
        {"id": 2, "file_name": "b.jpg", "coco_url": "", "license": 1},
    ]
    assert [type(image["id"]) for image in read["images"]] == [int, int]
    assert [(entry["id"], entry["image_id"]) for entry in read["annotations"]] == [(5, 1), (-6, 2)]
    assert type(read["annotations"][0]["image_id"]) is int
    assert read["licenses"] == [{"id": 1, "name": "unknown", "url": ""}]
    assert read["categories"] == []


@pytest.mark.parametrize("license_", [{"id": 1}, [1], "1", True, 1.5, 99, float("nan")])
def test_a_wrong_license_is_unknown_and_said(license_):
    content = dataset(range(3))
    content["images"][1]["license"] = license_
    read, passed = parse(content)
    assert read["images"][1]["license"] == 4
    assert read["licenses"][3:] == [{"id": 4, "name": "unknown", "url": ""}]
    (reason,) = passed["licenses of images"]
    assert reason.startswith("image 1: its license is")


@pytest.mark.parametrize(
    ("name", "read"),
    [("./a.jpg", "a.jpg"), ("b//a.jpg", "b/a.jpg"), ("b\\a.jpg", "b/a.jpg"), ("a\u202fb.jpg", "a\u202fb.jpg")],
)
def test_a_file_name_is_read_as_a_path_with_slashes(name, read):
    content = dataset(range(3))
    content["images"][1]["file_name"] = name
    assert parse(content)[0]["images"][1]["file_name"] == read


@pytest.mark.parametrize(
    "name",
    [
        *("../../etc/passwd", "/etc/passwd", "a/../b.jpg", "..", ".", "", "..\\a.jpg"),
        *("a\0.jpg", "a\n.jpg", "\ud800.jpg", 7, None),
    ],
)
def test_a_file_name_that_leaves_its_folder_or_is_none_is_passed_over_by_name(name):
    content = dataset(range(3))
    content["images"][1]["file_name"] = name
    read, passed = parse(content)
    assert [image["id"] for image in read["images"]] == [0, 2]
    (reason,) = passed["images"]
    assert reason.startswith("image 1: its file_name") and repr(name) in reason and "\n" not in reason


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 3000 + b"1" + b"}" * 3000, b"[]", b"{}", b'"images"'),
        *(b'{"images": {}}', b'{"images": [3, null]}', b'{"images": [{"id": 1, "file_name": "a.jpg"}], "images": []}'),
        json.dumps(dataset(range(3))).encode()[:-9],
        b'{"images": [{"id": ' + b"9" * 5000 + b', "file_name": "a.jpg"}]}',
    ],
)
def test_a_file_of_which_nothing_can_be_used_is_refused(content):
    with pytest.raises(UserError, match=r"^instances.json: .*expected") as refusal:
        instances.parse(content, "instances.json")
    assert "\n" not in str(refusal.value)


DIGITS = "9" * 5000  # more than Python makes a number of


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"year": 2017', '"year": 1, "year": 2017', "the key 'year' comes twice in an object; the last is taken"),
        ('{"info": ', '{"images": 7, "info": ', "the key 'images' comes twice in an object; the last is taken"),
        ('"iscrowd": 0', '"iscrowd": [], "iscrowd": 0', "the first of 3 oddities: the key 'iscrowd' comes twice"),
        ('"year": 2017', f'"year": {DIGITS}', "a number has 5000 digits; inf is taken"),
        ('"year": 2017', f'"year": -{DIGITS}', "a number has 5000 digits; -inf is taken"),
        ('"year": 2017', f'"year": {"[" * 900 + "]" * 900}', ""),
        ('"year": 2017', '"year": 1e999', ""),
    ],
    ids=lambda text: text[:30],
)
def test_what_is_odd_in_a_field_costs_no_entry_and_is_said(old, new, said, capsys):
    expected = dataset(range(2))
    read, passed = instances.parse(json.dumps(expected).replace(old, new).encode(), "a.json")
    assert read | {"info": None} == expected | {"info": None}
    assert not any(reasons for _, reasons in passed.values())
    err = capsys.readouterr().err
    assert err.startswith(f"note: a.json: {said}") and err.count("\n") == 1 if said else err == ""
    photos = json.loads(json.dumps(read))["images"]  # as the photo store has it
    assert photos == expected["images"]


@pytest.mark.parametrize("field", ["id", "width", "height"])
def test_an_image_with_a_number_of_thousands_of_digits_is_passed_over(field):
    content = dataset(range(3))
    content["images"][1][field] = "odd"
    text = json.dumps(content).replace('"odd"', DIGITS)
    read, passed = instances.parse(text.encode(), "a.json")
    assert [image["id"] for image in read["images"]] == [0, 2]
    assert f"its {field} is inf; expected" in passed["images"].reasons[0]


def test_a_file_that_is_nested_too_deeply_is_refused_with_what_to_do():
    text = json.dumps(dataset(range(3))).replace("2017", "[" * 3000 + "]" * 3000)
    with pytest.raises(UserError, match=r"^a.json: nested too deeply.*; expected .*take out"):
        instances.parse(text.encode(), "a.json")


@pytest.mark.parametrize("wrong", [None, "7", "x", 1.5, [], {}, True, float("inf"), float("nan"), 10**30])
@pytest.mark.parametrize(
    ("key", "field"), [("images", "id"), ("annotations", "id"), ("annotations", "image_id"), ("categories", "id")]
)
def test_an_entry_without_a_whole_number_is_passed_over(key, field, wrong):
    content = dataset(range(3))
    content[key][1][field] = wrong
    expected = copy.deepcopy(dataset(range(3)))
    del expected[key][1]
    read, passed = parse(content)
    assert read[key] == expected[key]
    (reason,) = passed[key]
    assert f"its {field} is" in reason and len(reason) < 200


@pytest.mark.parametrize("key", ["licenses", "categories", "images", "annotations"])
@pytest.mark.parametrize("entry", [None, 7, "x", []])
def test_an_entry_that_is_no_object_is_passed_over(key, entry):
    content = dataset(range(3))
    content[key].append(entry)
    read, passed = parse(content)
    assert read == dataset(range(3))
    assert list(passed) == [key]


@pytest.mark.parametrize(
    ("field", "value"), [("id", -1), ("id", 2**53), ("id", 1e300), ("width", 0), ("height", -8), ("width", "12")]
)
def test_an_image_with_a_number_out_of_range_is_passed_over(field, value):
    content = dataset(range(3))
    content["images"][1][field] = value
    read, passed = parse(content)
    assert [image["id"] for image in read["images"]] == [0, 2]
    assert f"its {field} is" in passed["images"][0]


@pytest.mark.parametrize("crowd", ["0", 2, [], {}])
def test_an_annotation_of_which_nobody_knows_whether_it_is_a_crowd_is_passed_over(crowd):
    content = dataset(range(3))
    content["annotations"][0]["iscrowd"] = crowd
    assert "its iscrowd is" in parse(content)[1]["annotations"][0]


def test_images_that_share_an_id_are_all_passed_over():
    content = dataset(range(3))
    content["images"][2]["id"] = 1
    read, passed = parse(content)
    assert [image["id"] for image in read["images"]] == [0]
    assert passed["images"] == ["image 1: 2 images have this id"] * 2


@pytest.mark.parametrize("name", ["caf\u00e9.jpg", "./cafe\u0301.jpg"])
def test_of_images_that_share_a_file_the_first_is_used(name):
    content = dataset(range(3))
    content["images"][0]["file_name"], content["images"][2]["file_name"] = "caf\u00e9.jpg", name
    read, passed = parse(content)
    assert [image["id"] for image in read["images"]] == [0, 1]
    assert passed["images"][0].startswith("image 2: an image before it has the file_name")


def test_only_the_id_decides_which_split_an_image_belongs_to():
    content = dataset(range(3))
    content["images"][1][instances.SPLIT_KEY] = "test"
    assert parse(content)[0]["images"] == dataset(range(3))["images"]


def test_an_annotation_of_no_image_in_use_is_passed_over():
    content = dataset(range(9))
    content["images"][0]["id"] = None
    read, passed = parse(content)
    assert read["annotations"] == dataset(range(9))["annotations"][1:]
    assert passed["annotations"] == ["annotation 0: none of the images in use has the id 0"]


def test_text_that_cannot_be_written_is_replaced():
    content = dataset(range(3))
    content["images"][0]["coco_url"], content["licenses"][0]["name"] = "\ud800", 7
    read, _ = parse(content)
    assert (read["images"][0]["coco_url"], read["licenses"][0]["name"]) == ("?", "")


def test_annotations_without_an_outline_in_an_image_that_is_used_are_passed_over():
    content = dataset(range(9))
    first, second, third, *others = content["annotations"]
    third["id"] = first["id"]
    others[0]["segmentation"] = [[1, 2, 3]]
    del others[1]["segmentation"]
    others[2]["image_id"] = 99
    read, reasons = instances.select_outlines(content)
    assert read["annotations"] == [first, second, *others[3:]]
    assert reasons == [
        f"annotation {others[2]['id']}: none of the images in use has the id 99",
        f"annotation {first['id']}: an annotation before it has the same id",
        f"annotation {others[0]['id']}: a polygon has 3 numbers; expected x and y of three points or more",
        f"annotation {others[1]['id']}: it has no segmentation",
    ]


def test_what_is_passed_over_is_said_in_a_line_a_list(capsys):
    passed = {"images": (9, []), "annotations": (9, ["annotation 1: x"]), "licenses": (3, ["license 4: y", "z"])}
    instances.report({key: instances.Passed(*value) for key, value in passed.items()}, "a.json")
    assert capsys.readouterr().err.splitlines() == [
        "note: a.json: passed over 1 of 9 annotations: annotation 1: x",
        "note: a.json: passed over 2 of 3 licenses: the first, license 4: y",
    ]


def test_a_picture_has_the_annotated_size_either_way_round():
    image = {"width": 12, "height": 8}
    instances.check_size(image, (12, 8), "a.jpg")
    instances.check_size(image, (8, 12), "a.jpg")
    with pytest.raises(UserError, match="a.jpg: 12 x 9 px, but 12 x 8 in the annotations"):
        instances.check_size(image, (12, 9), "a.jpg")
