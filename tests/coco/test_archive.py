import json

import pytest

from pipeline.coco import archive
from pipeline.errors import UserError
from pipeline.params import Coco
from tests.coco.host import ANNOTATIONS, dataset, jpeg, zipped

TRAIN, VAL = dataset(range(1, 21)), dataset(range(100, 110))


@pytest.fixture
def read(host, tmp_path):
    host.serve_coco(train2017=TRAIN, val2017=VAL)

    def read(**wishes) -> dict[str, tuple[dict, list[bytes]]]:
        defaults = {"base_url": host.url, "split": "both", "limit": 0, "categories": [], "licenses": []}
        splits = archive.read(Coco(**(defaults | wishes)), tmp_path / "scratch")
        return {name: (content, list(photos)) for name, content, photos in splits}

    return read


def test_both_splits_come_with_their_photos_in_order(read):
    splits = read()
    for split, content in (("train2017", TRAIN), ("val2017", VAL)):
        assert splits[split] == (content, [jpeg(image) for image in content["images"]])


def test_only_what_is_chosen_is_fetched(read, host):
    read(split="val2017", limit=3)
    assert len(host.asked) == 1 + 3
    assert host.asked.count(ANNOTATIONS) == 1


def test_faults_on_the_way_do_not_show(read, host):
    host.faults[ANNOTATIONS] = ["cut", "damaged", 503]
    for image in TRAIN["images"][::3]:
        host.faults[f"/train2017/{image['file_name']}"] = ["cut", "damaged", 500]
    assert read()["train2017"][1] == [jpeg(image) for image in TRAIN["images"]]


def test_the_scratch_folder_is_left_without_photos(read, tmp_path):
    read()
    assert not list((tmp_path / "scratch").glob("*.jpg"))


def test_a_photo_of_another_size_is_refused(read, host):
    image = VAL["images"][4]
    host.files[f"/val2017/{image['file_name']}"] = jpeg(image | {"width": 40})
    with pytest.raises(UserError, match=rf"/val2017/{image['file_name']}: 40 x 8 px, but 12 x 8 in the annotations"):
        read()


def test_a_photo_that_is_no_picture_is_refused(read, host):
    host.files["/val2017/000000000100.jpg"] = b"<html>Please log in</html>"
    with pytest.raises(UserError, match=r"/val2017/000000000100.jpg: unreadable picture"):
        read()


def test_a_missing_photo_is_refused(read, host):
    del host.files["/val2017/000000000100.jpg"]
    with pytest.raises(UserError, match=r"/val2017/000000000100.jpg: HTTP 404"):
        read()


def test_annotations_that_are_no_zip_are_refused(read, host):
    host.files[ANNOTATIONS] = b"<html>"
    with pytest.raises(UserError, match=f"{host.url}{ANNOTATIONS}: not a readable zip"):
        read()


def test_annotations_without_the_split_are_refused(read, host):
    host.files[ANNOTATIONS] = zipped({"instances_val2017.json": json.dumps(VAL)})
    with pytest.raises(UserError, match=r"instances_train2017.json: not in the archive"):
        read()


def test_annotations_that_are_not_json_are_refused(read, host):
    host.files[ANNOTATIONS] = zipped({"instances_val2017.json": "<html>"})
    with pytest.raises(UserError, match=r"instances_val2017.json: not JSON"):
        read(split="val2017")


@pytest.mark.parametrize("name", ["../../x.jpg", "/x.jpg", "a/x.jpg", "..\\x.jpg"])
def test_a_hostile_file_name_is_refused_by_name(read, host, name, tmp_path):
    host.files[ANNOTATIONS] = zipped(
        {"instances_val2017.json": json.dumps(VAL | {"images": [VAL["images"][0] | {"file_name": name}]})}
    )
    with pytest.raises(UserError) as refusal:
        read(split="val2017")
    assert repr(name) in str(refusal.value)
    assert host.asked == [ANNOTATIONS]
