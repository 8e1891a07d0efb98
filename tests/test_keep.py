import subprocess
import sys

import pandas as pd

from tests.conftest import hashes


def test_a_kept_model_has_all_beside_it_and_a_training_starts_from_it(clone):
    said = clone.run(sys.executable, "-m", "pipeline.keep", "mine")
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


def test_a_name_in_use_is_refused_and_kept(clone):
    before = hashes(clone.folder / "models")
    with clone.start(sys.executable, "-m", "pipeline.keep", "scratch") as process:
        _, errors = process.communicate()
    assert errors == "error: models/scratch: is there already; remove it, or give another name\n"
    assert process.returncode == 1
    assert hashes(clone.folder / "models") == before


def test_a_model_of_another_shape_is_one_line(clone):
    clone.set("train.generator.channels", 8)
    clone.set("train.init", "models/mine")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.train"], cwd=clone.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.endswith(
        "error: models/mine: its generator differs from train.generator; set there channels: 4\n"
    )
    assert "Traceback" not in done.stderr
