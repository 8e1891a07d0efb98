import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.coco import folder
from pipeline.errors import UserError
from pipeline.params import Folder


def picture(path: Path, width: int = 12, height: int = 8) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), 99, np.uint8)).save(path)
    return path.read_bytes()


def read(path: Path, annotations: str = "") -> tuple[str, dict, list[bytes]]:
    split, dataset, contents = folder.read(Folder(path=str(path), annotations=annotations))
    return split, dataset, list(contents)


def ids(path: Path) -> dict[str, int]:
    return {image["file_name"]: image["id"] for image in read(path)[1]["images"]}


def test_all_pictures_in_it_and_below_it_are_taken_unchanged(tmp_path):
    names = ["a.JPG", "b.jpeg", "c/d.png", "c/e/f.webp", "g.bmp", "h.tif", "i.TIFF", "j k,\u00e9.png"]
    contents = [picture(tmp_path / name) for name in names]
    split, dataset, taken = read(tmp_path)
    assert split == "folder"
    assert [image["file_name"] for image in dataset["images"]] == names
    assert {(image["width"], image["height"]) for image in dataset["images"]} == {(12, 8)}
    assert taken == contents
    assert dataset["licenses"] == [{"id": 1, "name": "unknown", "url": ""}]


def test_hidden_files_and_what_is_no_picture_are_passed_over(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / ".b.png")
    picture(tmp_path / ".thumbnails" / "c.png")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "album.png").mkdir()
    assert list(ids(tmp_path)) == ["a.png"]


def test_more_pictures_move_no_id(tmp_path):
    picture(tmp_path / "m.png")
    before = ids(tmp_path)
    picture(tmp_path / "a.png")
    picture(tmp_path / "z.png")
    after = ids(tmp_path)
    assert after["m.png"] == before["m.png"]
    assert all(0 < image_id < 2**53 for image_id in after.values())


def test_pictures_with_the_same_id_are_both_named(tmp_path, monkeypatch):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    monkeypatch.setattr(folder, "_id", lambda name: 7)
    with pytest.raises(UserError, match=r"a.png and b.png have the same id"):
        read(tmp_path)


def test_no_such_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="missing: no such folder"):
        read(tmp_path / "missing")


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match="no pictures in it"):
        read(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 100])
def test_a_truncated_picture_is_named(tmp_path, keep):
    picture(tmp_path / "a.png")
    content = picture(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").write_bytes(content[:-keep] if keep == 100 else content[:keep])
    with pytest.raises(UserError, match=r"b.jpg: unreadable picture"):
        read(tmp_path)


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "\udcff.png").write_bytes(picture(tmp_path / "a.png"))
    with pytest.raises(UserError, match="is not UTF-8"):
        read(tmp_path)


def annotated(path: Path, **image) -> Path:
    picture(path / "c/a.png")
    picture(path / "not listed.png")
    content = {
        "images": [{"id": 42, "file_name": "c/a.png", "width": 12, "height": 8} | image],
        "annotations": [{"id": 1, "image_id": 42, "category_id": 3, "segmentation": [[0, 0, 5, 0, 5, 5]]}],
        "categories": [{"id": 3, "name": "tear"}],
        "licenses": [{"id": 7, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"}],
    }
    (path / "instances.json").write_text(json.dumps(content))
    return path


def test_annotations_say_which_pictures_are_taken_and_keep_their_ids_and_licenses(tmp_path):
    _, dataset, contents = read(annotated(tmp_path, license=7), "instances.json")
    assert [(image["id"], image["license"]) for image in dataset["images"]] == [(42, 7)]
    assert dataset["licenses"] == [
        {"id": 7, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"}
    ]
    assert dataset["annotations"][0]["image_id"] == 42
    assert contents == [(tmp_path / "c/a.png").read_bytes()]


def test_annotations_without_sizes_and_licenses_are_completed(tmp_path):
    path = annotated(tmp_path)
    content = json.loads((path / "instances.json").read_text())
    del content["licenses"], content["images"][0]["width"], content["images"][0]["height"]
    (path / "instances.json").write_text(json.dumps(content))
    _, dataset, _ = read(path, "instances.json")
    assert (dataset["images"][0]["width"], dataset["images"][0]["height"]) == (12, 8)
    assert dataset["licenses"] == [{"id": 1, "name": "unknown", "url": ""}]


def test_annotations_that_are_missing_are_refused(tmp_path):
    picture(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"instances.json: no such file"):
        read(tmp_path, "instances.json")


def test_a_listed_picture_that_is_missing_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"gone.png: no such file"):
        read(annotated(tmp_path, file_name="gone.png"), "instances.json")


def test_a_listed_picture_of_another_size_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a.png: 12 x 8 px, but 99 x 8 in the annotations"):
        read(annotated(tmp_path, width=99), "instances.json")


def test_a_listed_picture_outside_the_folder_is_refused(tmp_path):
    picture(tmp_path / "secret.png")
    with pytest.raises(UserError, match=r"'../secret.png' does not stay inside"):
        read(annotated(tmp_path / "mine", file_name="../secret.png"), "instances.json")
