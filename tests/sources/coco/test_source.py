import json
import re
import shutil
import time
import zipfile
from threading import Thread

import pytest

from pipeline.runtime.errors import UserError
from pipeline.sources.coco import retry, source
from tests.conftest import TRAIN, VAL
from tests.sources.coco.host import ANNOTATIONS, Host, dataset, jpeg, needed, zipped

PHOTOS = {split: [jpeg(image) for image in data["images"]] for split, data in (("train2017", TRAIN), ("val2017", VAL))}
NAMES = [image["file_name"] for image in VAL["images"]]


def of_val(host: Host, **changes) -> None:
    """Replaces the annotations by val2017's, of which the first image has these changes."""
    images = [{**VAL["images"][0], **changes}, *VAL["images"][1:]]
    images[0] = {key: value for key, value in images[0].items() if value is not None}
    host.serve_annotations({"instances_val2017.json": json.dumps(VAL | {"images": images})})


def test_both_splits_come_with_their_photos_in_order(read):
    assert read() == {"train2017": (TRAIN, PHOTOS["train2017"]), "val2017": (VAL, PHOTOS["val2017"])}


def test_no_more_than_what_is_chosen_comes(read, coco_host):
    chosen = read(limit=12)
    files = coco_host.files
    cost = needed(files[ANNOTATIONS], {f"annotations/instances_{split}.json" for split in chosen})
    for split, (annotations, _) in chosen.items():
        names = {f"{split}/{image['file_name']}" for image in annotations["images"]}
        cost += needed(files[f"/zips/{split}.zip"], names)
    assert coco_host.sent <= 1.05 * cost


def test_one_split_needs_nothing_of_the_other(read, coco_host):
    assert read(split="val2017") == {"val2017": (VAL, PHOTOS["val2017"])}
    member = needed(coco_host.files[ANNOTATIONS], {"annotations/instances_val2017.json"})
    photos = len(coco_host.files["/zips/val2017.zip"])
    assert coco_host.sent <= member + photos + 100
    assert not [path for _, path, _ in coco_host.asked if "train2017" in path.removeprefix(ANNOTATIONS)]


def test_a_second_run_asks_the_host_nothing(read, coco_host):
    first = read()
    coco_host.asked.clear()
    assert read() == first
    assert read(split="val2017", limit=3)
    assert not coco_host.asked


def test_a_larger_limit_fetches_the_difference_alone(read, coco_host):
    read(split="val2017", limit=4)
    before = coco_host.sent
    few, more = read(split="val2017", limit=4)["val2017"][1], read(split="val2017", limit=7)["val2017"][1]
    assert set(few) <= set(more)
    assert coco_host.sent - before <= 1.05 * sum(len(photo) for photo in set(more) - set(few))


def test_the_next_host_serves_where_one_fails(read, coco_host, capsys):
    absent = "http://127.0.0.1:1"
    assert read(base_url=[absent, coco_host.url]) == {
        "train2017": (TRAIN, PHOTOS["train2017"]),
        "val2017": (VAL, PHOTOS["val2017"]),
    }
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert [absent in warning for warning in warnings] == [True, True]  # for the annotations, and for the photos


@pytest.mark.parametrize("ranges", [True, False])
def test_the_next_host_serves_where_the_archive_of_one_is_refused(read, coco_host, capsys, ranges):
    with Host() as hostile:
        name = "annotations/annotations_trainval2017.zip"
        hostile.files, hostile.ranges = {f"/{name}": zipped({"../evil": b"evil"}, zipfile.ZIP_STORED)}, ranges
        with pytest.raises(UserError, match="its member '../evil' does not stay inside its folder"):
            read("alone", base_url=hostile.url, split="val2017")
        made = read("first", base_url=[hostile.url, coco_host.url], split="val2017")
        hostile.shutdown()
    assert made["val2017"] == (VAL, PHOTOS["val2017"])
    assert "does not stay inside its folder; going on with the next host" in capsys.readouterr().out


class _Everything(dict):
    """The same answer for all paths."""

    def __contains__(self, path: object) -> bool:
        return True

    def __missing__(self, path: str) -> bytes:
        return self[""]


PAGES = [b"<html>Please log in</html>", b"\r\n<!DOCTYPE html>Please log in" + b"." * 5000, b"Please log in", b"[]"]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: repr(page[:12]))
def test_a_host_that_answers_all_with_a_page_is_one_that_fails(read, coco_host, capsys, page, ranges):
    with Host() as portal:
        portal.files, portal.ranges = _Everything({"": page}), ranges
        with pytest.raises(UserError) as refusal:
            read("first", base_url=portal.url, split="val2017")
        with pytest.raises(UserError):  # and nothing of it is taken for the other's
            read("second", base_url=[portal.url, coco_host.url + "/none"], split="val2017")
        made = read("second", base_url=[portal.url, coco_host.url], split="val2017")
        assert made["val2017"] == (VAL, PHOTOS["val2017"])
        assert f"warning: {portal.url}/annotations/instances_val2017.json: " in capsys.readouterr().out
        portal.shutdown()
    assert str(refusal.value).startswith(f"{portal.url}/annotations/instances_val2017.json: ")
    assert page[:12].strip().decode() in str(refusal.value)
    assert len(str(refusal.value)) < 300 and "\n" not in str(refusal.value)


def test_a_page_for_each_photo_is_taken_for_none_and_ends_the_asking(read, coco_host):
    with Host() as portal:
        portal.files = _Everything({"": PAGES[0], "/annotations/instances_val2017.json": json.dumps(VAL).encode()})
        page = rf"{portal.url}/val2017/\d+.jpg: sends b'<html>Please log in</html>' in place of it; check download.coco"
        with pytest.raises(UserError, match=page):
            read(base_url=portal.url, split="val2017")
        assert len(portal.asked) < 30
        made = read(base_url=[portal.url, coco_host.url], split="val2017")
        assert made["val2017"] == (VAL, PHOTOS["val2017"])
        portal.shutdown()


def test_the_next_host_takes_up_where_one_went_away(read, coco_host):
    with Host() as first:
        first.files, first.cut = dict(coco_host.files), 30_000

        def away(number: int) -> None:
            if number > 20:  # within the photos
                first.files.clear()

        first.on_request = away
        assert read(base_url=[first.url, coco_host.url])["val2017"] == (VAL, PHOTOS["val2017"])
        first.shutdown()
        whole = sum(len(content) for path, content in coco_host.files.items() if path.endswith(".zip"))
        assert first.sent > 60_000
        assert first.sent + coco_host.sent <= 1.05 * whole


@pytest.mark.parametrize(
    "faults",
    [
        {"silent": 0},
        {"silent": 6},
        {"stall": 2_000},
        {"pause": 0.2},
        {"busy": 1, "retry_after": "9999"},
        {"busy": 2, "retry_after": "9999"},
    ],
    ids=str,
)
def test_a_host_that_holds_up_the_list_is_given_up_once(read, coco_host, monkeypatch, capsys, faults):
    monkeypatch.setattr(retry, "PATIENCE", 1.0)
    with Host() as first:
        first.files = dict(coco_host.files)
        vars(first).update(faults)
        began = time.monotonic()
        assert read(base_url=[first.url, coco_host.url])["val2017"] == (VAL, PHOTOS["val2017"])
        assert time.monotonic() - began < 10  # and not for annotations and photos, or for each of them, anew
        first.shutdown()
    lines = capsys.readouterr().out.splitlines()
    warnings = [line for line in lines if line.startswith(f"warning: {first.url}")]
    assert warnings
    assert all(line.endswith("check download.coco.base_url; going on with the next host") for line in warnings)


def test_a_busy_host_that_no_longer_serves_ranges_serves_all_the_same(read, coco_host):
    read(split="val2017", limit=1)  # the directories are there
    coco_host.ranges, coco_host.promised, coco_host.busy = False, True, 2
    coco_host.files = {path: content for path, content in coco_host.files.items() if path.endswith(".zip")}
    assert read(split="val2017") == {"val2017": (VAL, PHOTOS["val2017"])}


def test_a_long_wait_is_said_once_for_all_that_wait(read, coco_host, monkeypatch, capsys):
    monkeypatch.setattr(retry, "LONG", 0.5)
    coco_host.busy, coco_host.retry_after = 6, "1"
    assert read(split="val2017") == {"val2017": (VAL, PHOTOS["val2017"])}
    told = [line for line in capsys.readouterr().out.splitlines() if "asking again" in line]
    assert told == [f"{coco_host.url}: HTTP 503; asking again in 1 s"]


def test_a_share_serves_like_a_host(read, coco_host, tmp_path):
    for path, content in coco_host.files.items():
        (tmp_path / "share" / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "share" / path[1:]).write_bytes(content)
    assert read(base_url=(tmp_path / "share").as_uri()) == read(cache="another")
    shutil.rmtree(tmp_path / "share" / "zips")
    assert read(cache="singles", base_url=(tmp_path / "share").as_uri()) == read()


def test_two_downloads_at_once_into_one_cache_bring_the_same_and_fetch_it_once(read, coco_host):
    results = []
    coco_host.pause = 0.001
    threads = [Thread(target=lambda: results.append(read(split="val2017"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [{"val2017": (VAL, PHOTOS["val2017"])}] * 2
    assert coco_host.sent <= len(coco_host.files["/zips/val2017.zip"]) + len(coco_host.files[ANNOTATIONS])


def test_a_photo_that_is_damaged_in_the_cache_is_named_and_the_next_run_mends_it(read, tmp_path):
    first = read(split="val2017")
    (photos,) = (tmp_path / "cache/val2017").glob("*.run")
    photos.write_bytes(photos.read_bytes().replace(PHOTOS["val2017"][4], bytes(len(PHOTOS["val2017"][4]))))
    with pytest.raises(UserError, match=f"{photos}: 000000000104.jpg is damaged; it was removed, run again"):
        read(split="val2017")
    assert read(split="val2017") == first


def test_a_category_that_is_misspelt_is_refused_before_any_photo(read, coco_host):
    with pytest.raises(UserError, match=r"no category 'dgo'; did you mean 'dog'\?"):
        read(categories=["dgo"])
    assert not [path for _, path, _ in coco_host.asked if "annotations" not in path]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (None, "images[0]: it is None; expected an object"),
        ({"id": None}, "images[0]: its id is None; expected a whole number"),
        (VAL["images"][1], "image 101: an image before it has the file_name '000000000101.jpg' too"),
        (VAL["images"][1] | {"width": None}, "image 101: it has no width; expected MS-COCO's annotations"),
        (VAL["images"][1] | {"height": None}, "image 101: it has no height; expected MS-COCO's annotations"),
        (VAL["images"][1] | {"width": "200"}, "image 101: its width is '200'; expected a whole number"),
        (VAL["images"][1] | {"width": 10**4200}, "image 101: its width is 1000"),
        *(
            (VAL["images"][1] | {"id": 7, "file_name": name}, f"image 7: its file_name {name!r}")
            for name in ("../../x.jpg", "/x.jpg", "a/x.jpg", "..\\x.jpg")
        ),
        (VAL["images"][1] | {"id": 7, "file_name": "x" * 70_000}, "image 7: its file_name 'xxx"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_image_that_cannot_be_used_is_passed_over_and_said_before_any_photo(read, coco_host, capsys, entry, reason):
    listed = VAL | {"images": [entry, *VAL["images"]]}
    coco_host.serve_annotations({"instances_val2017.json": json.dumps(listed)})
    dataset, photos = read(split="val2017")["val2017"]
    assert ([image["file_name"] for image in dataset["images"]], photos) == (NAMES, PHOTOS["val2017"])
    assert dataset["annotations"] == VAL["annotations"]
    (line,) = capsys.readouterr().err.splitlines()
    assert f"instances_val2017.json: passed over 1 of {len(NAMES) + 1} images: {reason}" in line and len(line) < 300
    assert not [path for _, path, _ in coco_host.asked if "x.jpg" in path]


def test_annotations_of_an_image_that_is_passed_over_are_passed_over_with_it(read, coco_host, capsys):
    first = VAL["images"][0]["id"]
    count = sum(annotation["image_id"] == first for annotation in VAL["annotations"])
    of_val(coco_host, width=None)
    dataset, photos = read(split="val2017")["val2017"]
    assert len(photos) == len(dataset["images"]) == len(NAMES) - 1
    images, annotations = capsys.readouterr().err.splitlines()
    assert f"passed over 1 of {len(NAMES)} images: image {first}: it has no width" in images
    assert f"passed over {count} of {len(VAL['annotations'])} annotations: " in annotations
    assert f"none of the images in use has the id {first}" in annotations


@pytest.mark.parametrize("images", [[], [None, 7], [VAL["images"][0] | {"width": None}]])
def test_annotations_of_which_no_image_can_be_used_are_refused_with_what_to_do(read, coco_host, images):
    coco_host.serve_annotations({"instances_val2017.json": json.dumps(VAL | {"images": images})})
    with pytest.raises(UserError, match=r"instances_val2017.json: .*image.*; check download.coco.base_url$") as refusal:
        read(split="val2017")
    assert "\n" not in str(refusal.value)
    assert not [path for _, path, _ in coco_host.asked if "zips" in path]


def test_annotations_that_were_refused_are_fetched_anew_when_the_host_has_mended_them(read, coco_host):
    mended = coco_host.files[ANNOTATIONS]
    coco_host.serve_annotations({"instances_val2017.json": "<html>"})
    with pytest.raises(UserError, match=r"instances_val2017.json: not JSON"):
        read(split="val2017")
    coco_host.files[ANNOTATIONS] = mended
    assert read(split="val2017")["val2017"] == (VAL, PHOTOS["val2017"])


def cut_photos(host: Host, end: bytes = b"") -> None:
    """Single photos that the host itself has only half of, with the length it says, and this in the other's place."""
    for path in [path for path in host.files if path.endswith(".jpg")]:
        host.files[path] = host.files[path][: len(host.files[path]) // 2] + end


def without_archive(host: Host) -> None:
    host.files = {path: content for path, content in host.files.items() if not path.startswith("/zips")}


@pytest.mark.parametrize("end", [b"", bytes(99_999), b"\xff\xd9", b"\xff\xd9" + bytes(99_999)], ids=len)
def test_a_truncated_photo_without_a_checksum_is_fetched_again_and_then_refused(read, coco_host, end):
    without_archive(coco_host)
    whole = dict(coco_host.files)
    cut_photos(coco_host, end)
    with pytest.raises(UserError, match=r"its content: unreadable picture .*truncated.*, 8 times"):
        read(split="val2017")
    coco_host.files = whole
    assert read(split="val2017") == {"val2017": (VAL, PHOTOS["val2017"])}


def test_the_next_host_has_what_is_truncated_here(read, coco_host):
    without_archive(coco_host)
    with Host() as first:
        first.files = dict(coco_host.files)
        cut_photos(first)
        assert read(base_url=[first.url, coco_host.url], split="val2017")["val2017"] == (VAL, PHOTOS["val2017"])
        first.shutdown()


def test_a_truncated_photo_that_an_older_version_has_kept_is_fetched_again(read, coco_host, tmp_path, monkeypatch):
    without_archive(coco_host)
    whole = dict(coco_host.files)
    cut_photos(coco_host)
    with monkeypatch.context() as older:
        older.setattr(source.decode, "decode_whole", lambda content, where: None)
        read(split="val2017")
    coco_host.files = whole
    with pytest.raises(UserError, match=r"it was removed, run again to fetch it anew \(9 such files in all\)"):
        read(split="val2017")
    assert read(split="val2017") == {"val2017": (VAL, PHOTOS["val2017"])}


def test_a_photo_of_another_size_than_annotated_is_refused(read, coco_host):
    of_val(coco_host, width=201)
    with pytest.raises(UserError, match=r"000000000100.jpg: .*200 x 150 px, but 201 x 150 in the annotations"):
        read(split="val2017")


def test_annotations_that_are_no_zip_are_refused(read, coco_host):
    coco_host.files[ANNOTATIONS] = b"<html>Please log in</html>"
    with pytest.raises(UserError, match=re.escape(f"{coco_host.url}{ANNOTATIONS}: not a readable zip")):
        read()


def test_annotations_without_the_split_are_refused(read, coco_host):
    coco_host.serve_annotations({"instances_val2017.json": json.dumps(VAL)})
    with pytest.raises(UserError, match=r"has no annotations/instances_train2017.json"):
        read()


def test_another_host_is_asked_for_its_own_annotations(read, coco_host):
    read(split="val2017")
    with Host() as other:
        smaller = dataset(range(100, 103), 200, 150)
        other.serve_coco(val2017=smaller)
        assert read(split="val2017", base_url=other.url)["val2017"] == (smaller, PHOTOS["val2017"][:3])
        assert not [path for _, path, _ in other.asked if "annotations" not in path]
        other.shutdown()


def test_photos_of_a_host_that_has_them_in_another_size_are_not_taken_for_those_of_this_one(read, coco_host):
    read(split="val2017")
    with Host() as other:
        smaller = dataset(range(100, 103), 100, 80)
        other.serve_coco(val2017=smaller)
        with pytest.raises(UserError, match=r"200 x 150 px, but 100 x 80 in .*; it was removed, run again"):
            read(split="val2017", base_url=other.url)
        other.shutdown()


def test_annotations_damaged_in_the_cache_are_named_and_the_next_run_mends_them(read, tmp_path):
    first = read(split="val2017")
    (annotations,) = (tmp_path / "cache/annotations").glob("*/*.run")
    content = bytearray(annotations.read_bytes())
    content[-1] ^= 1
    annotations.write_bytes(content)
    with pytest.raises(UserError, match=f"{annotations}: instances_val2017.json is damaged; it was removed"):
        read(split="val2017")
    assert read(split="val2017") == first
