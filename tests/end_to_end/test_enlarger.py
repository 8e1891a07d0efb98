"""An enlarger goes the way of a generator: trained, scored, registered; and saved, exported and used."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from mendline import Enlarger
from pipeline.params import Weights

ENLARGER = {
    **{f"corrupt.weights.{kind}": float(kind == "lowres") for kind in Weights.model_fields},
    "corrupt.image_size": 48,
    "corrupt.lowres.factors": [2, 3],
    "train.crop": 24,
    "train.generator.design": "enlarger",
}


@pytest.mark.long
def test_an_enlarger_is_trained_scored_registered_and_used(clone):
    for key, value in ENLARGER.items():
        clone.set(key, value)
    assert "GAN: " in clone.run("dvc", "repro")
    means = pd.read_csv(clone.folder / "metrics/by_corruption.csv")
    assert set(means.corruption) == {"lowres_x2", "lowres_x3"}
    assert set(means.method) == {"bicubic", "lanczos", "gan"}

    uri = f"sqlite:///{clone.folder}/mlflow.db"
    (version,) = MlflowClient(uri).search_model_versions("name = 'mendline-enlarger'")
    assert "To enlarge a photograph" in version.description
    mlflow.set_tracking_uri(uri)
    loaded = mlflow.pyfunc.load_model("models:/mendline-enlarger@champion")
    pictures = {"image": np.random.default_rng(0).integers(256, size=(2, 20, 30, 3), dtype=np.uint8)}
    twice, thrice = loaded.predict(pictures), loaded.predict(pictures, params={"factor": 3})
    assert twice.shape == (2, 40, 60, 3) and thrice.shape == (2, 60, 90, 3) and twice.dtype == np.uint8

    clone.mendline("save", "larger")
    clone.mendline("export", "models/larger")
    for model in ("models/larger", "models/larger/generator.onnx"):
        large = Enlarger.load(clone.folder / model)(pictures["image"][0], 3)
        assert np.abs(large.astype(int) - thrice[0]).max() <= 1
