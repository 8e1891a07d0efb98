import io
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml import YAML

from pipeline import corrupt
from pipeline.corruptions import photo_pairs
from pipeline.datasets import photos
from pipeline.datasets.pairs import Pairs
from pipeline.datasets.splits import SPLITS, assign_splits
from pipeline.images.grid import evenly_spaced, image_grid
from pipeline.params import Weights, load
from pipeline.runtime.errors import UserError
from tests.clone import wait_until

ROOT = Path(__file__).parent.parent
NAME = "val2017"
PHOTOS = 48
EVERY_KIND = {"occlusion", "scratch", "stain", "freeform", "object", "lowres_x2", "lowres_x4", "mixed"}
EVERY_KIND |= {"dust", "hair", "crease", "text", "speck"}


def jpeg(number: int) -> bytes:
    y, x = np.mgrid[:75, :100]
    picture = np.stack([128 + 90 * np.sin(x / (number % 7 + 3)), 2 * y, 128 + 90 * np.cos(y / 9 + number)], axis=2)
    buffer = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def outline(image_id: int) -> list[int]:
    """An L as no other photo has it."""
    right = 60 + image_id // 10
    return [10, 10, 30, 10, 30, 40, right, 40, right, 60, 10, 60]


def make_store(contents: list[bytes], annotated: bool = True) -> None:
    """In the current folder: photos of 100 x 75 px with an instance in each, and params.yaml."""
    images = [
        {"id": 10 * number, "file_name": f"{number:03}.jpg", "license": 1, "width": 100, "height": 75, "coco_url": ""}
        for number in range(len(contents))
    ]
    annotations = [
        {"id": image["id"], "image_id": image["id"], "iscrowd": 0, "segmentation": [outline(image["id"])]}
        for image in images
    ]
    licenses = [{"id": 1, "name": "some", "url": "http://127.0.0.1"}]
    dataset = {"images": images, "annotations": annotations if annotated else [], "licenses": licenses}
    photos.write(corrupt.PHOTOS, NAME, dataset, contents).to_csv(corrupt.PHOTOS / "manifest.csv", index=False)


def set_params(**values: object) -> None:
    yaml = YAML()
    params = yaml.load(ROOT / "params.yaml")
    params["corrupt"].update({"image_size": 32, "val": 0.2, "test": 0.2} | values)
    yaml.dump(params, Path("params.yaml"))
    shutil.copy(ROOT / "dvc.yaml", ".")


@pytest.fixture(autouse=True)
def scratch_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MENDLINE_WORKERS", "1")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    set_params()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a stage that ran as DVC runs it, with two workers, and what it printed."""
    folder = tmp_path_factory.mktemp("finished")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MENDLINE_WORKERS": "2"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    before = Path.cwd()
    os.chdir(folder)
    try:
        set_params()
        make_store([jpeg(number) for number in range(PHOTOS)])
        command = [sys.executable, "-m", "pipeline.corrupt"]
        process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    finally:
        os.chdir(before)
    assert process.returncode == 0, process.stderr
    return folder, process.stdout


def files(folder: Path) -> dict[str, bytes]:
    outs = [*(folder / "data/pairs").iterdir(), *(folder / "metrics").iterdir()]
    return {path.name: path.read_bytes() for path in outs}


def make() -> None:
    corrupt.make(load().corrupt)


def test_the_last_line_says_what_was_made(finished):
    folder, printed = finished
    sizes = {split: len(Pairs(folder / "data/pairs", split)) for split in SPLITS}
    assert sum(sizes.values()) == 2 * PHOTOS
    numbers = ", ".join(f"{size} {split}" for split, size in sizes.items())
    assert printed.splitlines()[-1] == f"{2 * PHOTOS} pairs in data/pairs: {numbers}"


def test_every_pair_differs_from_its_target_in_the_hole_alone(finished):
    for split in SPLITS:
        store = Pairs(finished[0] / "data/pairs", split)
        for row, (area, kind) in enumerate(zip(store.column("hole_area"), store.column("corruption"), strict=True)):
            target, corrupted, mask = store.pictures(row)
            assert target.shape == corrupted.shape == (32, 32, 3)
            assert np.array_equal(target[~mask], corrupted[~mask])
            assert mask.mean() == area
            assert area == 1 if kind.startswith("lowres") else 0 < area <= 0.6


def test_an_old_photo_is_old_in_the_target_too():
    make_store([jpeg(number) for number in range(PHOTOS)])
    stores = []
    for share in (0.0, 1.0):
        set_params(aged=share)
        make()
        stores.append([Pairs(Path("data/pairs"), "val").pictures(row) for row in range(8)])
    for (target, *_), (old, corrupted, mask) in zip(*stores, strict=True):
        assert not np.array_equal(target, old)
        assert np.array_equal(old[~mask], corrupted[~mask])


def test_masks_reach_beyond_the_damage_by_what_is_recorded(finished):
    store = Pairs(finished[0] / "data/pairs", "train")
    margins, kinds = (pd.Series(store.column(name)) for name in ("margin", "corruption"))
    exact = kinds.isin(["lowres_x2", "lowres_x4", "speck"])
    assert margins[exact].isna().all()
    assert set(margins[~exact]) == {0, 1 / 32}


def test_rows_are_in_order_and_no_photo_is_in_two_splits(finished):
    seen = {}
    for split in SPLITS:
        store = Pairs(finished[0] / "data/pairs", split)
        keys = list(zip(store.column("image_id"), store.column("variant"), strict=True))
        assert keys == sorted(set(keys))
        seen[split] = set(store.column("image_id"))
    assert sum(map(len, seen.values())) == len(set.union(*seen.values())) == PHOTOS


def test_the_table_counts_the_pairs_of_each_kind(finished):
    table = pd.read_csv(finished[0] / "metrics/pairs.csv")
    assert table.columns.tolist() == ["split", "corruption", "area", "pairs", "mean_hole_area"]
    assert set(table.corruption) == EVERY_KIND
    for split, group in table.groupby("split"):
        kinds = pd.Series(Pairs(finished[0] / "data/pairs", split).column("corruption"))
        assert group.groupby("corruption").pairs.sum().to_dict() == kinds.value_counts().to_dict()
    bounds = table.area.str.extract(r"(\d+)-(\d+) %").astype(int) / 100
    assert table.mean_hole_area.between(bounds[0], bounds[1]).all()


def test_the_contact_sheet_shows_some_of_each_kind_by_its_name(finished):
    store = Pairs(finished[0] / "data/pairs", "train")
    kinds = pd.Series(store.column("corruption"))
    rows = [row for kind in sorted(EVERY_KIND) for row in evenly_spaced(kinds.index[kinds == kind].tolist(), 4)]
    pictures = [(target, corrupted, np.where(mask, 255, 0)) for target, corrupted, mask in map(store.pictures, rows)]
    shown = [[picture.astype(np.uint8) for picture in triple] for triple in pictures]
    expected = image_grid(shown, ["target", "corrupted", "mask"], kinds[rows].tolist())
    with Image.open(finished[0] / "metrics/pairs.png") as image:
        assert image.format == "PNG" and np.array_equal(image, expected)


def test_only_the_photos_to_train_on_are_cropped(finished):
    """Green rises by 148 from the top of a photo to its bottom."""
    heights = {}
    for split in SPLITS:
        store = Pairs(finished[0] / "data/pairs", split)
        heights[split] = [np.ptp(store.pictures(row)[0][..., 1].astype(int)) for row in range(len(store))]
    assert min(heights["val"]) > 135 and min(heights["test"]) > 135
    assert min(heights["train"]) < 110


def test_every_pair_has_its_own_chance(finished):
    seeds = [seed for split in SPLITS for seed in Pairs(finished[0] / "data/pairs", split).column("seed")]
    assert len(set(seeds)) == 2 * PHOTOS


def test_one_worker_writes_the_same_bytes_as_two(finished):
    make_store([jpeg(number) for number in range(PHOTOS)])
    make()
    assert files(Path()) == files(finished[0])


def test_another_seed_gives_other_damage_to_the_same_splits(finished):
    make_store([jpeg(number) for number in range(PHOTOS)])
    set_params(seed=1)
    make()
    here, there = Pairs(Path("data/pairs"), "test"), Pairs(finished[0] / "data/pairs", "test")
    assert here.column("image_id") == there.column("image_id")
    assert not set(here.column("seed")) & set(there.column("seed"))


def test_without_annotations_there_is_no_object_and_stderr_says_so(capfd):
    make_store([jpeg(number) for number in range(20)], annotated=False)
    make()
    assert "object" not in set(pd.read_csv("metrics/pairs.csv").corruption)
    assert "no fitting silhouettes in train, val, test; made there without object\n" in capfd.readouterr().err


def test_object_alone_without_annotations_is_one_line():
    make_store([jpeg(number) for number in range(20)], annotated=False)
    set_params(weights=dict.fromkeys(Weights.model_fields, 0.0) | {"object": 1.0})
    with pytest.raises(
        UserError, match=r"no fitting silhouettes in train, val, test; give another of corrupt\.weights"
    ):
        make()


def test_a_split_without_photos_is_one_line():
    make_store([jpeg(number) for number in range(2)])
    with pytest.raises(UserError, match=r"^none of the 2 photos falls to \w+; get more photos"):
        make()


def test_silhouettes_come_from_photos_of_the_same_split():
    make_store([jpeg(number) for number in range(20)])
    params = load().corrupt
    splits = assign_splits(photos.index(corrupt.PHOTOS), params.val, params.test)
    for split, found in photo_pairs.list_fitting_silhouettes(corrupt.PHOTOS, splits, params).items():
        widths = [silhouette.box[1] for silhouette in found]
        assert widths == [outline(photo.image_id)[6] - 10 for photo in splits[split]]


def test_a_split_without_silhouettes_borrows_those_of_train():
    make_store([jpeg(number) for number in range(20)])
    params = load().corrupt
    splits = assign_splits(photos.index(corrupt.PHOTOS), params.val, params.test)
    own = photo_pairs.list_fitting_silhouettes(corrupt.PHOTOS, splits, params)
    bare = {"val": [replace(photo, image_id=photo.image_id + 1) for photo in splits["val"]]}
    borrowed = photo_pairs.list_fitting_silhouettes(corrupt.PHOTOS, splits | bare, params)
    assert borrowed == own | {"val": own["train"]}
    assert own["val"] != own["train"]


def test_silhouettes_change_with_the_seed_and_from_variant_to_variant():
    make_store([jpeg(number) for number in range(20)])
    params = load().corrupt
    splits = assign_splits(photos.index(corrupt.PHOTOS), params.val, params.test)
    candidates = photo_pairs.list_fitting_silhouettes(corrupt.PHOTOS, splits, params)["train"]

    def chosen(seed: int) -> list[list[tuple[int, int]]]:
        jobs = photo_pairs.plan("train", splits["train"], candidates, params.model_copy(update={"seed": seed}))
        return [[silhouette.box for silhouette in job.silhouettes] for job in jobs]

    assert chosen(0) == chosen(0) != chosen(1)
    assert any(first != second for first, second in chosen(0))


def test_silhouettes_that_would_be_larger_than_the_largest_hole_do_not_fit():
    make_store([jpeg(number) for number in range(20)])
    alone = dict.fromkeys(Weights.model_fields, 0.0) | {"object": 1.0}
    set_params(max_hole=0.1, object={"scale": [1.0, 1.0], "area": [0.03, 0.4]}, weights=alone)
    with pytest.raises(UserError, match="no fitting silhouettes in train, val, test"):
        make()


def test_an_unreadable_photo_ends_in_one_line_and_leaves_no_out():
    contents = [jpeg(number) for number in range(20)]
    contents[5] = contents[5][:300]
    make_store(contents)
    command = [sys.executable, "-m", "pipeline.corrupt"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert "data/coco/val2017-00000.zip: val2017/005.jpg: unreadable" in process.stderr.splitlines()[-1]
    assert "Traceback" not in process.stderr
    assert not Path("data/pairs").exists() and not Path("metrics").exists()


def test_a_damaged_archive_is_one_line():
    make_store([jpeg(number) for number in range(20)])
    archive = corrupt.PHOTOS / f"{NAME}-00000.zip"
    content = bytearray(archive.read_bytes())
    content[500] ^= 255
    archive.write_bytes(content)
    with pytest.raises(UserError, match=r"val2017-00000\.zip: damaged"):
        make()


def test_no_photos_is_one_line():
    with pytest.raises(UserError, match="run the download stage first"):
        make()


def test_a_run_that_was_killed_goes_on_at_the_shard_and_ends_in_the_same_bytes(tmp_path):
    contents = [jpeg(number) for number in range(400)]
    make_store(contents, annotated=False)
    set_params(variants=3)
    command, environment = [sys.executable, "-m", "pipeline.corrupt"], os.environ | {"PYTHONPATH": str(ROOT)}
    kept = tmp_path / ".cache/corrupt"
    with subprocess.Popen(command, env=environment) as process:
        wait_until(lambda: list(kept.glob("*/train-00001.feather")) or process.poll() is not None)
        process.kill()
    made = {path.name: path.stat().st_mtime_ns for path in kept.glob("*/*.feather")}
    spoilt = next(kept.glob("*/train-00000.feather"))
    spoilt.write_bytes(spoilt.read_bytes()[:-100])
    make()
    after = {path.name: path.stat().st_mtime_ns for path in Path("data/pairs").iterdir()}
    assert {name for name in made if after[name] == made[name]} == made.keys() - {"train-00000.feather"}
    assert not [path for path in kept.iterdir() if path.is_dir()]
    resumed = files(Path())
    make()
    assert files(Path()) == resumed
    assert len(resumed) > 6
