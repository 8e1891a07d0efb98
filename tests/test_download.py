import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from PIL import Image

from pipeline.datasets import instances, photos


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(256, size=(80, 120, 3), dtype=np.uint8)).save(path)


def failure(done: subprocess.CompletedProcess, folder: Path) -> str:
    """The one line on stderr of a run that left nothing behind."""
    assert done.returncode == 1
    assert not (folder / "data").exists()
    assert not list((folder / ".cache").glob("partial/*"))
    *warnings, line = done.stderr.splitlines()
    assert all(warning.startswith("warning: not tracked") for warning in warnings)
    return line


def test_the_sample_needs_nothing_and_is_tracked(stage, tmp_path):
    done = stage("sample", leaves=3, crops=1, size=32)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "17 photos (0 MB) in data/coco, 17 sample\n"
    store = tmp_path / "data/coco"
    assert sorted(path.name for path in store.iterdir()) == ["annotations", "manifest.csv", "sample-00000.zip"]
    assert {photos.read(store, photo).shape for photo in photos.index(store)} == {(32, 32, 3)}
    tracked = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (run,) = tracked.search_runs([tracked.get_experiment_by_name("mendline-data").experiment_id])
    assert run.data.metrics["download/photos"] == 17
    assert run.data.metrics["download/bytes"] == pd.read_csv(store / "manifest.csv")["bytes"].sum()


def test_coco_comes_as_one_store_of_both_splits(stage, tmp_path, coco_host):
    done = stage("coco", base_url=coco_host.url, split="both", limit=0)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "21 photos (0 MB) in data/coco, 12 train2017, 9 val2017"
    store = tmp_path / "data/coco"
    assert [photo.image_id for photo in photos.index(store)] == [*range(1, 13), *range(100, 109)]
    assert [path.name for path in instances.list_files(store)] == [
        "instances_train2017.json",
        "instances_val2017.json",
    ]
    assert not (tmp_path / ".cache/partial/data-coco").exists()


def test_a_folder_comes_as_it_is(stage, tmp_path):
    for name in ("a.png", "b/c.jpg"):
        picture(tmp_path / "photos" / name)
    done = stage("folder")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 photos (0 MB) in data/coco, 2 folder\n"
    assert {photo.member for photo in photos.index(tmp_path / "data/coco")} == {"folder/a.png", "folder/b/c.jpg"}


def test_an_unreachable_host_is_one_line(stage, tmp_path):
    line = failure(stage("coco", base_url="http://127.0.0.1:1"), tmp_path)
    assert line.startswith("error: http://127.0.0.1:1/annotations/annotations_trainval2017.zip: no answer")


def test_a_missing_photo_is_one_line(stage, tmp_path, coco_host):
    del coco_host.files["/zips/val2017.zip"], coco_host.files["/val2017/000000000104.jpg"]
    line = failure(stage("coco", base_url=coco_host.url, split="val2017", limit=0), tmp_path)
    assert line.startswith(f"error: {coco_host.url}/val2017/000000000104.jpg: HTTP 404")


def test_a_truncated_picture_is_one_line(stage, tmp_path):
    picture(tmp_path / "photos/a.jpg")
    whole = (tmp_path / "photos/a.jpg").read_bytes()
    (tmp_path / "photos/a.jpg").write_bytes(whole[:-500])
    assert failure(stage("folder"), tmp_path).startswith("error: photos/a.jpg: unreadable picture")


def test_a_disk_that_is_full_is_one_line(stage, tmp_path):
    for number in range(20):
        picture(tmp_path / f"photos/{number}.png")
    assert failure(stage("folder", blocks=200), tmp_path) == "error: data/coco: File too large; make room and run again"


@pytest.mark.long
def test_a_failed_run_leaves_the_photos_of_the_last_one(stage, tmp_path):
    picture(tmp_path / "photos/a.png")
    assert stage("folder").returncode == 0
    (tmp_path / "photos/a.png").write_bytes(b"")
    assert stage("folder").returncode == 1
    assert len(photos.index(tmp_path / "data/coco")) == 1


def test_a_cache_that_is_no_folder_is_one_line(stage, tmp_path, monkeypatch, coco_host):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MENDLINE_CACHE", "file")  # in the repository, where it is no whole path
    line = failure(stage("coco", base_url=coco_host.url), tmp_path)
    assert line == (
        f"error: {tmp_path}/file/coco: Not a directory; give another path (one of its folders is a file), "
        "or set MENDLINE_CACHE to another folder"
    )
