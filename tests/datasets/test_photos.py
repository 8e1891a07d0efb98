import zipfile
from hashlib import sha256

import numpy as np
import pytest
from pycocotools.coco import COCO

from pipeline.datasets import instances, photos
from pipeline.images.decode import decode
from pipeline.runtime.errors import UserError
from tests.sources.coco.host import dataset, jpeg

DATASET = dataset(range(1, 8))
CONTENTS = [jpeg(image) for image in DATASET["images"]]


@pytest.fixture
def store(tmp_path):
    photos.write(tmp_path, "val2017", DATASET, iter(CONTENTS)).to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path


def test_a_store_gives_back_the_photos_it_was_given(store):
    found = photos.index(store)
    assert [photo.image_id for photo in found] == list(range(1, 8))
    for photo, content in zip(found, CONTENTS, strict=True):
        assert np.array_equal(photos.read(store, photo), decode(content, ""))


def test_the_photos_are_listed_by_their_ids_whatever_the_order_in_the_store(tmp_path):
    backwards = DATASET | {"images": DATASET["images"][::-1]}
    photos.write(tmp_path, "val2017", backwards, CONTENTS[::-1]).to_csv(tmp_path / "manifest.csv", index=False)
    found = photos.index(tmp_path)
    assert [photo.image_id for photo in found] == list(range(1, 8))
    for photo, content in zip(found, CONTENTS, strict=True):
        assert np.array_equal(photos.read(tmp_path, photo), decode(content, ""))


def test_any_archive_tool_and_pycocotools_read_the_store(store, capsys):
    with zipfile.ZipFile(store / "val2017-00000.zip") as archive:
        assert archive.namelist() == [f"val2017/{image['file_name']}" for image in DATASET["images"]]
        assert archive.read("val2017/000000000003.jpg") == CONTENTS[2]
        assert archive.testzip() is None
    annotations = COCO(instances.list_files(store)[0])
    assert annotations.getImgIds() == list(range(1, 8))
    assert len(annotations.loadAnns(annotations.getAnnIds(imgIds=[4]))) == 2


def test_the_manifest_says_what_each_photo_is_and_who_may_use_it(store):
    line = photos.write(store, "val2017", DATASET, iter(CONTENTS)).iloc[1]
    assert line["license"] == "license 3"
    assert line["license_url"] == "http://3"
    assert line["source_url"] == "http://images.cocodataset.org/2"
    assert (line["width"], line["height"], line["bytes"]) == (12, 8, len(CONTENTS[1]))
    assert line["sha256"] == sha256(CONTENTS[1]).hexdigest()


def test_the_same_photos_give_the_same_bytes(store, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    photos.write(again, "val2017", DATASET, iter(CONTENTS))
    for path in ("val2017-00000.zip", "annotations/instances_val2017.json"):
        assert (again / path).read_bytes() == (store / path).read_bytes()


def test_a_full_archive_is_followed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "SHARD_BYTES", 3 * max(map(len, CONTENTS)))
    manifest = photos.write(tmp_path, "val2017", DATASET, iter(CONTENTS))
    manifest.to_csv(tmp_path / "manifest.csv", index=False)
    assert sorted(path.name for path in tmp_path.glob("*.zip")) == [f"val2017-0000{number}.zip" for number in range(3)]
    assert [photos.read(tmp_path, photo).shape for photo in photos.index(tmp_path)] == [(8, 12, 3)] * 7


@pytest.mark.parametrize("names", [["007", "08", "9"], ["NA", "null", "nan"]])
def test_a_file_name_is_a_text_whatever_it_looks_like(tmp_path, names):
    images = [image | {"file_name": name} for image, name in zip(DATASET["images"], names, strict=False)]
    manifest = photos.write(tmp_path, "val2017", DATASET | {"images": images}, CONTENTS[: len(names)])
    manifest.to_csv(tmp_path / "manifest.csv", index=False)
    assert [photo.member for photo in photos.index(tmp_path)] == [f"val2017/{name}" for name in names]


def test_splits_that_the_source_fixes_stay(tmp_path):
    images = [image | {instances.SPLIT_KEY: "test"} for image in DATASET["images"][:1]] + DATASET["images"][1:]
    manifest = photos.write(tmp_path, "sample", DATASET | {"images": images}, iter(CONTENTS))
    manifest.to_csv(tmp_path / "manifest.csv", index=False)
    assert [photo.split for photo in photos.index(tmp_path)] == ["test"] + [None] * 6


def test_no_store_is_refused(tmp_path):
    with pytest.raises(UserError, match="no photos; run the download stage first"):
        photos.index(tmp_path)
