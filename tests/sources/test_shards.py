import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.params import Shards
from pipeline.runtime.errors import UserError
from pipeline.sources import shards


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MENDLINE_CACHE", str(tmp_path / "cache"))


def jpeg(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 12, 3), number, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def described(number: int, **facts: str) -> dict[str, bytes]:
    return {f"{number:06}.json": json.dumps(facts).encode(), f"{number:06}.jpg": jpeg(number), f"{number:06}.txt": b"x"}


def read(*urls: str | Path, limit: int = 0) -> list[tuple[str, dict, list[bytes]]]:
    given = Shards(urls=list(map(str, urls)), limit=limit)
    return [(name, dataset, list(contents)) for name, dataset, contents in shards.read(given)]


def test_photos_come_as_they_are_with_license_and_origin(tmp_path):
    write_tar(tmp_path / "a-0.tar", described(1, license="CC0", url="http://x/1") | {"2.jpeg": jpeg(2)})
    write_tar(tmp_path / "a-1.tar", described(1))
    (first, one, contents), (second, two, more) = read(tmp_path / "a-{0..1}.tar")
    assert (first, second) == ("shard-00000", "shard-00001")
    assert contents == [jpeg(1), jpeg(2)] and more == [jpeg(1)]
    assert [image["file_name"] for image in one["images"]] == ["000001.jpg", "2.jpeg"]
    assert [(image["width"], image["height"]) for image in one["images"]] == [(12, 8)] * 2
    names = {entry["id"]: entry["name"] for entry in one["licenses"]}
    assert [names[image["license"]] for image in one["images"]] == ["CC0", "unknown"]
    assert [image["coco_url"] for image in one["images"]] == ["http://x/1", ""]
    assert one["images"][0]["id"] != two["images"][0]["id"]


def test_a_tar_from_a_web_server_is_taken_and_kept(tmp_path, host):
    tar = write_tar(tmp_path / "a.tar", described(1) | described(2))
    host.files["/a.tar"] = tar.read_bytes()
    url = f"http://127.0.0.1:{host.server_port}/a.tar"
    once = read(url)
    assert [(name, contents) for name, _, contents in once] == [("shard-00000", [jpeg(1), jpeg(2)])]
    assert once == read(tar)
    host.files.clear()
    assert read(url) == once


def test_a_broken_picture_is_passed_over_and_counted(tmp_path, capfd):
    tar = write_tar(tmp_path / "a.tar", {"1.jpg": jpeg(1)[:100], "2.jpg": jpeg(2), "3.seg.png": b"", "4.txt": b""})
    ((_, dataset, contents),) = read(tar)
    assert contents == [jpeg(2)]
    assert [image["file_name"] for image in dataset["images"]] == ["2.jpg"]
    assert f"note: {tar}: 1 of 2 pictures passed over: 1.jpg: unreadable" in capfd.readouterr().err


def test_a_limit_ends_within_a_tar_and_opens_no_other(tmp_path):
    tar = write_tar(tmp_path / "0.tar", described(1) | described(2))
    ((_, dataset, contents),) = read(tar, tmp_path / "absent.tar", limit=1)
    assert len(dataset["images"]) == 1 and contents == [jpeg(1)]


def test_a_pattern_stands_for_a_tar_each():
    assert shards.expand("s3://b/{08..10}.tar") == ["s3://b/08.tar", "s3://b/09.tar", "s3://b/10.tar"]


def test_what_cannot_be_had_is_one_line(tmp_path, host):
    whole = write_tar(tmp_path / "a.tar", described(1)).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:700])
    (tmp_path / "none.tar").write_bytes(b"<html>")
    write_tar(tmp_path / "empty.tar", {"1.txt": b""})
    said = {
        tmp_path / "cut.tar": "cut.tar: not a whole tar; get it again",
        tmp_path / "none.tar": "none.tar: not a whole tar; get it again",
        tmp_path / "empty.tar": "no photos in .*; expected tars",
        f"http://127.0.0.1:{host.server_port}/no.tar": "no.tar: .*; check download.shards.urls",
        "nowhere://a.tar": "nowhere://a.tar: .*; check download.shards.urls",
    }
    for url, message in said.items():
        with pytest.raises(UserError, match=message) as error:
            read(url)
        assert "\n" not in str(error.value)
