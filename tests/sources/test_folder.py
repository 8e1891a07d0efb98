import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.images import formats
from pipeline.params import Folder
from pipeline.runtime.errors import UserError
from pipeline.sources import folder
from tests.clone import Clone


def picture(path: Path, width: int = 12, height: int = 8) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), 99, np.uint8)).save(path)
    return path.read_bytes()


def read(path: Path, annotations: str = "") -> tuple[str, dict, list[bytes]]:
    ((name, dataset, contents),) = folder.read(Folder(path=str(path), annotations=annotations))
    return name, dataset, list(contents)


def ids(path: Path) -> dict[str, int]:
    return {image["file_name"]: image["id"] for image in read(path)[1]["images"]}


def test_all_pictures_in_it_and_below_it_are_taken_unchanged(tmp_path):
    names = ["a.JPG", "b.jpeg", "c/d.png", "c/e/f.webp", "g.bmp", "h.tif", "i.TIFF", "j k,\u00e9.png"]
    contents = [picture(tmp_path / name) for name in names]
    name, dataset, taken = read(tmp_path)
    assert name == "folder"
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
    monkeypatch.setattr(folder, "_hash_name", lambda name: 7)
    with pytest.raises(UserError, match=r"a.png and b.png have the same id"):
        read(tmp_path)


def test_no_such_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="missing: no such folder"):
        read(tmp_path / "missing")


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match="no pictures in it"):
        read(tmp_path)


def test_what_is_passed_over_by_its_suffix_is_counted_in_one_line(tmp_path, capsys):
    picture(tmp_path / "a.png")
    for name in ("b.NEF", "c.nef", "d.svg", "sub/notes", ".hidden.svg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert list(ids(tmp_path)) == ["a.png"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"note: {tmp_path}: passed over: 1 without a suffix; 2 .nef; 1 .svg"


def test_a_format_that_needs_more_than_is_installed_is_passed_over_with_what_it_needs(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(formats.NEEDS, "HEIF", "needs pillow-heif")
    annotated(tmp_path)
    (tmp_path / "phone.heic").write_bytes(b"x")
    read(tmp_path, "instances.json")
    assert capsys.readouterr().err == f"note: {tmp_path}: passed over: 1 .heic, which needs pillow-heif\n"


def test_nothing_is_said_where_all_is_used(tmp_path, capsys):
    picture(tmp_path / "a.png")
    read(tmp_path)
    assert capsys.readouterr().err == ""


def test_all_unreadable_pictures_are_named_at_once(tmp_path):
    content = picture(tmp_path / "good.jpg")
    bad = [f"bad{number}\n.jpg" for number in range(7)]
    for name in bad:
        (tmp_path / name).write_bytes(content[:-100])
    with pytest.raises(UserError, match=r"7 of 8 pictures cannot be read: ") as refusal:
        read(tmp_path)
    said = str(refusal.value)
    assert all(repr(name) in said for name in bad[:5]) and "and 2 more; " in said
    assert "unreadable picture" in said and "replace or remove" in said and "\n" not in said


def test_a_truncated_picture_that_is_ended_all_the_same_is_named(tmp_path):
    Image.effect_noise((64, 48), 99).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2] + b"\xff\xd9")
    with pytest.raises(UserError, match=r"a.jpg: unreadable picture .*truncated.*; replace or remove it"):
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
    content = {
        "images": [{"id": 42, "file_name": "c/a.png", "width": 12, "height": 8} | image],
        "annotations": [{"id": 1, "image_id": 42, "category_id": 3, "segmentation": [[0, 0, 5, 0, 5, 5]]}],
        "categories": [{"id": 3, "name": "tear"}],
        "licenses": [{"id": 7, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"}],
    }
    (path / "instances.json").write_text(json.dumps(content))
    return path


def listing(path: Path, *images: dict, annotations: tuple[dict, ...] = ()) -> Path:
    """The folder, with a list of these images, and after them of c/a.png."""
    content = json.loads((annotated(path) / "instances.json").read_text())
    content["images"] = [*images, *content["images"]]
    content["annotations"] += annotations
    (path / "instances.json").write_text(json.dumps(content))
    return path


def test_annotations_say_which_pictures_are_taken_and_keep_their_ids_and_licenses(tmp_path, capsys):
    picture(tmp_path / "not listed.png")
    _, dataset, contents = read(annotated(tmp_path, license=7), "instances.json")
    assert [(image["id"], image["license"]) for image in dataset["images"]] == [(42, 7)]
    assert dataset["licenses"] == [
        {"id": 7, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"}
    ]
    assert dataset["annotations"][0]["image_id"] == 42
    assert contents == [(tmp_path / "c/a.png").read_bytes()]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"note: {tmp_path}: 1 of 2 pictures left out: not listed.png; {tmp_path}/instances.json has")


def test_annotations_without_sizes_and_licenses_are_completed(tmp_path):
    path = annotated(tmp_path)
    content = json.loads((path / "instances.json").read_text())
    del content["licenses"], content["images"][0]["width"], content["images"][0]["height"]
    (path / "instances.json").write_text(json.dumps(content))
    _, dataset, _ = read(path, "instances.json")
    assert (dataset["images"][0]["width"], dataset["images"][0]["height"]) == (12, 8)
    assert dataset["licenses"] == [{"id": 1, "name": "unknown", "url": ""}]


@pytest.mark.parametrize("sides", [(12, 8), (8, 12), (12, None), (8, None), (None, 12), (None, None)])
def test_sizes_may_be_missing_or_exchanged_as_an_exif_tag_does(tmp_path, sides, capsys):
    _, dataset, _ = read(annotated(tmp_path, width=sides[0], height=sides[1]), "instances.json")
    (image,) = dataset["images"]
    assert {image["width"], image["height"]} == {8, 12}
    assert all(given in (found, None) for given, found in zip(sides, (image["width"], image["height"]), strict=True))
    assert capsys.readouterr().err == ""


def test_annotations_beside_the_folder_are_read(tmp_path):
    annotated(tmp_path / "images")
    (tmp_path / "images/instances.json").rename(tmp_path / "instances.json")
    assert len(read(tmp_path / "images", "../instances.json")[1]["annotations"]) == 1


def test_annotations_that_are_missing_are_refused(tmp_path):
    picture(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"instances.json: no such file"):
        read(tmp_path, "instances.json")
    with pytest.raises(UserError, match=r"Is a directory; change download.folder.annotations"):
        read(tmp_path, ".")


def test_absolute_annotations_are_refused_as_dvc_would_not_follow_them(tmp_path):
    with pytest.raises(ValueError, match=r"relative to download.folder.path"):
        Folder(path="photos", annotations=str(tmp_path / "instances.json"))


def test_images_that_cannot_be_used_are_passed_over_with_their_annotations(tmp_path, capsys):
    picture(tmp_path / "size.png")
    path = listing(
        tmp_path,
        {"id": 1, "file_name": "gone.png"},
        {"id": 2, "file_name": "size.png", "width": 99, "height": 8},
        {"id": 3, "file_name": "../secret.png"},
        {"id": 4, "file_name": "c/a.png/b.png"},
        {"id": 5, "file_name": "c"},
        {"id": 6, "file_name": "x" * 300},
        {"id": 7, "file_name": "x/" * 35_000 + "a.png"},
        annotations=({"id": 2, "image_id": 1, "segmentation": [[0, 0, 5, 0, 5, 5]]},),
    )
    picture(tmp_path.parent / "secret.png")
    _, dataset, contents = read(path, "instances.json")
    assert [image["id"] for image in dataset["images"]] == [42]
    assert [annotation["id"] for annotation in dataset["annotations"]] == [1]
    assert len(contents) == 1
    images, annotations, left_out = capsys.readouterr().err.splitlines()
    assert "passed over 7 of 8 images: the first, image 3: its file_name '../secret.png'" in images
    assert "passed over 1 of 2 annotations: annotation 2: none of the images in use has the id 1" in annotations
    assert "1 of 2 pictures left out: size.png" in left_out


def test_annotations_that_outline_nothing_are_passed_over_and_the_first_is_named(tmp_path, capsys):
    bad = ({"id": 2, "image_id": 42, "segmentation": [[0, 0, 5]]}, {"id": 3, "image_id": 42, "bbox": [0, 0, 5, 5]})
    _, dataset, _ = read(listing(tmp_path, annotations=bad), "instances.json")
    assert [annotation["id"] for annotation in dataset["annotations"]] == [1]
    (line,) = capsys.readouterr().err.splitlines()
    assert "passed over 2 of 3 annotations: the first, annotation 2: a polygon has 3 numbers" in line


@pytest.mark.parametrize("name", ["x" * 70_000, "x/" * 35_000 + "a.png", "\u00e9" * 130], ids=lambda name: name[:9])
def test_a_long_name_is_told_in_a_short_line(tmp_path, name, capsys):
    read(listing(tmp_path, {"id": 1, "file_name": name}), "instances.json")
    (line,) = capsys.readouterr().err.splitlines()
    assert "passed over 1 of 2 images: image 1: " in line and len(line.replace(str(tmp_path), "")) < 250


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"file_name": "gone.png"}, r"none of its images can be used: image 42: no file 'gone.png' in .*mine;"),
        ({"width": 99}, r"none of its images can be used: image 42: .*a.png: 12 x 8 px, but 99 x 8 in the annotations"),
        ({"file_name": "../secret.png"}, r"'../secret.png' does not stay inside"),
    ],
)
def test_annotations_of_none_of_the_pictures_are_refused(tmp_path, image, message):
    picture(tmp_path / "secret.png")
    with pytest.raises(UserError, match=message) as refusal:
        read(annotated(tmp_path / "mine", **image), "instances.json")
    assert "; expected" in str(refusal.value) and "\n" not in str(refusal.value)


def test_unreadable_pictures_that_are_listed_are_all_named(tmp_path):
    for name in ("x.jpg", "y.jpg"):
        (tmp_path / name).write_bytes(b"x")
    path = listing(tmp_path, {"id": 1, "file_name": "x.jpg"}, {"id": 2, "file_name": "y.jpg"})
    with pytest.raises(UserError, match=r"2 of 3 pictures cannot be read: x.jpg, y.jpg; "):
        read(path, "instances.json")


@pytest.mark.parametrize(
    ("listed", "there"), [("caf\u00e9.png", "cafe\u0301.png"), ("cafe\u0301.png", "caf\u00e9.png")]
)
def test_accents_may_be_written_either_way(tmp_path, listed, there):
    content = picture(tmp_path / there)
    _, dataset, contents = read(listing(tmp_path, {"id": 1, "file_name": listed}), "instances.json")
    assert (dataset["images"][0]["file_name"], contents[0]) == (there, content)


@pytest.mark.long
def test_dvc_reruns_download_when_the_annotations_beside_the_folder_are_replaced(tmp_path):
    clone = Clone(tmp_path / "clone")
    annotated(clone.folder / "mine/images")
    (clone.folder / "mine/annotations").mkdir()
    beside = clone.folder / "mine/annotations/instances.json"
    (clone.folder / "mine/images/instances.json").rename(beside)
    changes = {"source": "folder", "folder.path": "mine/images", "folder.annotations": "../annotations/instances.json"}
    for name, value in changes.items():
        clone.set(f"download.{name}", value)
    clone.run("dvc", "repro", "download")
    assert json.loads(clone.run("dvc", "status", "download", "--json")) == {}
    beside.write_text(beside.read_text().replace('"id": 42', '"id": 43').replace('"image_id": 42', '"image_id": 43'))
    assert "Running stage 'download'" in clone.run("dvc", "repro", "download")
    stored = clone.folder / "data/coco/annotations/instances_folder.json"
    assert json.loads(stored.read_text())["images"][0]["id"] == 43
