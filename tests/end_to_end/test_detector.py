"""A detector goes the way of a generator: trained, scored, compared, registered."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from PIL import Image

DETECTOR = {
    "corrupt.exact": 1.0,
    "corrupt.weights.lowres": 0.0,
    "train.generator.design": "detector",
    "train.losses.adversarial": 0.0,
}


@pytest.mark.long
def test_a_detector_is_trained_scored_and_registered(clone):
    for key, value in DETECTOR.items():
        clone.set(key, value)
    output = clone.run("dvc", "repro")
    assert "val F1 0." in output
    assert "detector: F1 0." in output
    metrics = clone.folder / "metrics"
    headline = json.loads((metrics / "headline.json").read_text())
    assert headline.keys() == {"f1", "ap"}
    means = pd.read_csv(metrics / "by_corruption.csv")
    assert set(means.method) == {"detector", "heuristic", "top_hat"}
    assert (metrics / "model_card.md").read_text().startswith("# Mendline detector")
    with Image.open(metrics / "figures/grid.png") as grid:
        assert grid.width > 4 * 32
    compared = clone.mendline("compare")
    assert f"{headline['f1']:.4f}" in compared and "the same" in compared and "psnr" not in compared

    uri = f"sqlite:///{clone.folder}/mlflow.db"
    (version,) = MlflowClient(uri).search_model_versions("name = 'mendline-detector'")
    assert version.description.startswith("# Mendline detector")
    mlflow.set_tracking_uri(uri)
    found = mlflow.pyfunc.load_model("models:/mendline-detector@champion").predict(
        {"image": np.zeros((2, 20, 30, 3), np.uint8)}
    )
    assert found.shape == (2, 20, 30) and found.dtype == np.uint8
