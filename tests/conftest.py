import shutil

import numpy as np
import pytest

from pipeline import pairs
from pipeline.params import Train, load
from tests.clone import ROOT, Clone


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Clone:
    """A clone whose pipeline has run to its end, once. Not to be changed."""
    clone = Clone(tmp_path_factory.mktemp("clones") / "undisturbed")
    assert clone.repro() == ["download", "corrupt", "train", "evaluate"]
    return clone


@pytest.fixture(scope="module")
def clone(undisturbed, tmp_path_factory) -> Clone:
    """A copy of the undisturbed clone, with the outs and the lock of its run, for the tests of a module."""
    folder = tmp_path_factory.mktemp("clones") / "clone"
    shutil.copytree(undisturbed.folder, folder, symlinks=True)
    return Clone(folder)


@pytest.fixture
def train_params() -> Train:
    params = load(ROOT / "params.yaml").train
    tiny = {"channels": 8, "blocks": 1, "scales": 2, "patch": 2}
    return params.model_copy(
        update={
            "steps": 6,
            "warmup": 2,
            "batch": 4,
            "generator": params.generator.model_copy(update=tiny),
            "discriminator": params.discriminator.model_copy(update={"channels": 4}),
        }
    )


@pytest.fixture
def ten_pairs(tmp_path) -> pairs.Pairs:
    def striped_pictures():
        for number in range(10):
            waves = np.sin(np.arange(32) + number)[:, None, None] * 60 * np.ones((1, 32, 3)) + 128
            target = waves.astype(np.uint8)
            mask = np.zeros((32, 32), bool)
            mask[8:20, 6:25] = True
            corrupted = np.where(mask[..., None], 0, target).astype(np.uint8)
            encoded = [pairs.encode(picture) for picture in (target, corrupted, mask.astype(np.uint8) * 255)]
            yield pairs.Pair(number, 0, "occlusion", number, float(mask.mean()), *encoded)

    pairs.write(tmp_path / "pairs", "train", striped_pictures())
    return pairs.Pairs(tmp_path / "pairs", "train")
