"""The trained generators that the repository holds."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from skimage import data

from pipeline.corruptions import draw, lowres
from pipeline.evaluation.baselines import Damaged, prior, restore_all, telea
from pipeline.inference.enlarger import Enlarger
from pipeline.metrics.image_quality import psnr
from pipeline.networks import weights
from pipeline.params import load
from pipeline.runtime import yaml_file
from tests.clone import ROOT

MODELS = {path.name: path for path in sorted((ROOT / "models").iterdir()) if path.name != "untrained"}
LARGEST = 15e6  # bytes


def photo(number: int) -> np.ndarray:
    """A square of 128 px of a photograph that is not COCO's."""
    pictures = [data.chelsea(), data.coffee(), data.astronaut()]
    return pictures[number % 3][60:316:2, 100:356:2]


def restorer(name: str):
    generator = weights.load(MODELS[name], torch.device("cpu"))
    return lambda image, mask: weights.restore(generator, image[None], mask[None])[0]


def score(restored: np.ndarray, target: np.ndarray) -> float:
    return psnr(restored[None], target[None]).item()


def test_there_is_one_for_holes_one_for_size_one_to_find_damage_and_one_to_train_on_from():
    assert set(MODELS) == {"restore", "superres", "superres-degraded", "detect", "general"}


@pytest.mark.parametrize("folder", MODELS.values(), ids=lambda folder: folder.name)
def test_it_is_small_and_says_where_it_comes_from(folder: Path):
    assert (folder / "generator.safetensors").stat().st_size < LARGEST
    trained_on = pd.read_csv(folder / "photos.csv")
    assert len(trained_on) > 1000
    assert trained_on.license.notna().all()
    record = yaml_file.read(folder / "params.yaml")
    config = json.loads((folder / "config.json").read_text())
    assert config["generator"] == record["train"]["generator"]
    assert config["image_size"] == record["corrupt"]["image_size"]
    assert config["sha256"] == sha256((folder / "generator.safetensors").read_bytes()).hexdigest()
    assert "## Limits" in (folder / "README.md").read_text()
    scores = pd.read_csv(folder / "scores.csv")
    assert ("detector" if folder.name == "detect" else "gan") in set(scores.method)


def test_all_of_them_are_40_megabytes_at_most():
    assert sum(path.stat().st_size for path in (ROOT / "models").rglob("*")) < 40e6


@pytest.mark.parametrize("kind", ["stain", "scratch"])
def test_damage_on_other_photographs_is_restored_better_than_by_classical_methods(kind):
    params, restore = load(ROOT / "params.yaml").corrupt, restorer("restore")
    gains = []
    for number in range(12):
        target = photo(number)
        image, mask = draw.corrupt(kind, target, np.random.default_rng(number), params, None)
        best = max(score(telea(image, mask, 3), target), score(prior("harmonic", image, mask), target))
        gains.append(score(restore(image, mask), target) - best)
    assert np.mean(gains) > 0.3


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_other_photographs_are_enlarged_better_than_by_filters(factor):
    enlarger, gains = Enlarger.load(), []
    for number in range(3):
        target = photo(number)[:120, :120]
        small, mask = lowres.corrupt(target, factor)
        filtered = restore_all("superres", Damaged(target, mask, small, radius=3))
        best = max(score(picture, target) for picture in filtered.values())
        gains.append(score(enlarger(small, factor), target) - best)
    assert np.mean(gains) > 0.3
