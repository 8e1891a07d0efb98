import shutil
import subprocess
import sys

import pandas as pd
import pytest

from tests.clone import finish
from tests.conftest import hashes

pytestmark = pytest.mark.long  # each goes on from the one before, and trains


def test_a_kept_model_has_all_beside_it_and_a_training_starts_from_it(clone):
    said = clone.run(sys.executable, "-m", "pipeline.commands.main", "save", "mine")
    folder = clone.folder / "models/mine"
    assert said.startswith("models/mine: ")
    names = ["README.md", "config.json", "dvc.lock", "generator.safetensors", "params.yaml", "photos.csv", "scores.csv"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert (folder / "generator.safetensors").read_bytes() == (
        clone.folder / "data/model/generator.safetensors"
    ).read_bytes()
    trained = set(pd.read_csv(folder / "photos.csv").image_id)
    tested = set(pd.read_csv(clone.folder / "metrics/scores.csv").image_id)
    assert trained and not trained & tested

    before = pd.read_csv(clone.folder / "metrics/validation.csv").psnr
    clone.set("train.init", "models/mine")
    assert clone.repro() == ["train", "evaluate"]
    after = pd.read_csv(clone.folder / "metrics/validation.csv").psnr
    assert after.iloc[0] == before.iloc[-1]


def test_a_model_that_started_from_another_lists_its_photos_too(clone):
    listed = clone.folder / "models/mine/photos.csv"
    photos = pd.read_csv(listed)
    listed.write_text(listed.read_text() + "7,val2017,7.jpg,CC BY,url,url,abc\n")
    assert clone.repro() == ["train"]
    clone.run(sys.executable, "-m", "pipeline.commands.main", "save", "second")
    assert set(pd.read_csv(clone.folder / "models/second/photos.csv").image_id) == {7, *photos.image_id}


def test_a_name_in_use_is_refused_and_kept(clone):
    before = hashes(clone.folder / "models")
    with clone.start(sys.executable, "-m", "pipeline.commands.main", "save", "untrained") as process:
        _, errors = finish(process)
    assert errors == "error: models/untrained: is there already; remove it, or give another name\n"
    assert process.returncode == 1
    assert hashes(clone.folder / "models") == before


def test_outs_of_other_parameters_are_not_kept(clone):
    clone.set("evaluate.radius", 4)
    with clone.start(sys.executable, "-m", "pipeline.commands.main", "save", "other") as process:
        _, errors = finish(process)
    assert errors == "error: evaluate: not what params.yaml and the code would make; run dvc repro first\n"
    assert not (clone.folder / "models/other").exists()


def test_a_model_of_another_shape_is_one_line(clone):
    clone.set("train.generator.channels", 8)
    clone.set("train.init", "models/mine")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.train"], cwd=clone.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.endswith(
        "error: models/mine: its generator differs from train.generator; set there channels: 4; or train.init to "
        "models/untrained\n"
    )
    assert "Traceback" not in done.stderr


def test_another_model_to_start_from_is_another_training(clone):
    """The folder's name stays; what it holds decides whether an earlier training is gone on from."""
    for key, value in {
        "train.generator.channels": 4,
        "train.init": "models/mine",
        "train.schedule": "constant",
    }.items():
        clone.set(key, value)
    assert "starts at step 0" in clone.run("dvc", "repro", "train")
    for name in ("generator.safetensors", "config.json"):
        shutil.copy(clone.folder / "models/second" / name, clone.folder / "models/mine")
    assert "starts at step 0" in clone.run("dvc", "repro", "train")
