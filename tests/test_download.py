import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from PIL import Image
from ruamel.yaml import YAML

from pipeline import photos
from tests.coco.host import Host, dataset

ROOT = Path(__file__).parent.parent
DATASET = dataset(range(1, 6))


@pytest.fixture
def stage(tmp_path):
    """Runs the stage in a folder of its own, with some of `download`'s parameters changed."""
    params = YAML(typ="safe").load(ROOT / "params.yaml")

    def run(source: str, preexec_fn=None, **changes) -> subprocess.CompletedProcess:
        params["download"]["source"] = source
        params["download"][source] |= changes
        YAML(typ="safe").dump(params, tmp_path / "params.yaml")
        environment = {
            name: value for name, value in os.environ.items() if name not in ("DVC_ROOT", "MLFLOW_TRACKING_URI")
        }
        return subprocess.run(
            [sys.executable, "-m", "pipeline.download"],
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=preexec_fn,
        )

    return run


@pytest.fixture
def host():
    with Host() as server:
        server.serve_coco(train2017=dataset(range(1, 6)), val2017=dataset(range(100, 103)))
        yield server
        server.shutdown()


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(256, size=(80, 120, 3), dtype=np.uint8)).save(path)


def failure(done: subprocess.CompletedProcess, folder: Path) -> str:
    """The one line on stderr of a run that left nothing behind."""
    assert done.returncode == 1
    assert not (folder / "data").exists()
    assert not list((folder / ".cache").rglob("*.*"))
    (line,) = done.stderr.splitlines()
    return line


def test_the_sample_needs_nothing_and_is_tracked(stage, tmp_path):
    done = stage("sample", leaves=3, crops=1, size=32)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "17 photos (0 MB) in data/coco, 17 sample\n"
    store = tmp_path / "data/coco"
    assert sorted(path.name for path in store.iterdir()) == ["annotations", "manifest.csv", "sample-00000.zip"]
    assert {photos.read(store, photo).shape for photo in photos.index(store)} == {(32, 32, 3)}
    tracked = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (run,) = tracked.search_runs([tracked.get_experiment_by_name("mendline").experiment_id])
    assert run.data.metrics["download/photos"] == 17
    assert run.data.metrics["download/bytes"] == pd.read_csv(store / "manifest.csv")["bytes"].sum()


def test_coco_comes_as_one_store_of_both_splits(stage, tmp_path, host):
    done = stage("coco", base_url=host.url, split="both", limit=0)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "8 photos (0 MB) in data/coco, 5 train2017, 3 val2017\n"
    store = tmp_path / "data/coco"
    assert [photo.image_id for photo in photos.index(store)] == [1, 2, 3, 4, 5, 100, 101, 102]
    assert [path.name for path in photos.annotation_files(store)] == [
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


def test_a_missing_photo_is_one_line(stage, tmp_path, host):
    del host.files["/train2017/000000000004.jpg"]
    line = failure(stage("coco", base_url=host.url, split="both", limit=0), tmp_path)
    assert line.startswith(f"error: {host.url}/train2017/000000000004.jpg: HTTP 404")


def test_a_truncated_picture_is_one_line(stage, tmp_path):
    picture(tmp_path / "photos/a.jpg")
    whole = (tmp_path / "photos/a.jpg").read_bytes()
    (tmp_path / "photos/a.jpg").write_bytes(whole[:-500])
    assert failure(stage("folder"), tmp_path).startswith("error: photos/a.jpg: unreadable picture")


def test_a_disk_that_is_full_is_one_line(stage, tmp_path):
    for number in range(20):
        picture(tmp_path / f"photos/{number}.png")

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    assert failure(stage("folder", preexec_fn=full), tmp_path) == "error: data/coco: File too large"


def test_a_failed_run_leaves_the_photos_of_the_last_one(stage, tmp_path):
    picture(tmp_path / "photos/a.png")
    assert stage("folder").returncode == 0
    (tmp_path / "photos/a.png").write_bytes(b"")
    assert stage("folder").returncode == 1
    assert len(photos.index(tmp_path / "data/coco")) == 1
