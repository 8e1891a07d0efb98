"""A translator goes the way of a generator: trained, scored, registered; and saved, exported and used."""

import shutil

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML

from mendline import Translator
from tests.end_to_end.test_dvc import STAGES

TRANSLATOR = {
    "corrupt.domains.by": "rendering",
    "train.warmup": 0,
    "train.steps": 12,
    "train.precision": "float32",
    "train.objective": "lsgan",
    "train.losses.adversarial": 1.0,
    "train.losses.penalty": 0.0,
    "train.generator.design": "translator",
    "train.discriminator.design": "patches",
    "train.discriminator.norm": "batch",
}


def digests(clone) -> dict[str, str]:
    """Of every out of the stages, by path."""
    stages = YAML(typ="safe", pure=True).load(clone.folder / "dvc.lock")["stages"]
    return {out["path"]: out["md5"] for stage in STAGES for out in stages[stage]["outs"]}


@pytest.mark.long
def test_a_translator_is_trained_scored_registered_and_used(clone):
    for key, value in TRANSLATOR.items():
        clone.set(key, value)
    assert "translator: " in clone.run("dvc", "repro")
    means = pd.read_csv(clone.folder / "metrics/by_corruption.csv")
    assert set(means.corruption) == {"painting"}
    assert set(means.method) == {"identity", "reinhard", "histogram", "dodge", "translator"}
    assert pd.read_csv(clone.folder / "metrics/losses.csv").nce.notna().all()

    uri = f"sqlite:///{clone.folder}/mlflow.db"
    (version,) = MlflowClient(uri).search_model_versions("name = 'mendline-translator'")
    assert "To change the look" in version.description
    mlflow.set_tracking_uri(uri)
    loaded = mlflow.pyfunc.load_model("models:/mendline-translator@champion")
    pictures = {"image": np.random.default_rng(0).integers(256, size=(2, 20, 30, 3), dtype=np.uint8)}
    changed = loaded.predict(pictures)
    assert changed.shape == (2, 20, 30, 3) and changed.dtype == np.uint8

    clone.mendline("save", "look")
    clone.mendline("export", "models/look")
    for model in ("models/look", "models/look/generator.onnx"):
        assert np.abs(Translator.load(clone.folder / model)(pictures["image"][0]).astype(int) - changed[0]).max() <= 1

    before = digests(clone)
    shutil.rmtree(clone.folder / ".dvc/cache/runs")
    clone.run("dvc", "repro", "--force", "--downstream", "corrupt")
    assert digests(clone) == before
