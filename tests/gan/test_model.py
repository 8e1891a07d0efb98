import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.gan import device, model
from pipeline.gan.generator import make

CPU = torch.device("cpu")
ARGUMENTS = {"design": "residual", "channels": 4, "blocks": 1, "scales": 2, "patch": 2}


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    generator = make(**ARGUMENTS)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save(tmp_path / "model", generator, {"generator": ARGUMENTS})
    return tmp_path / "model"


def test_a_saved_model_restores_alike_and_keeps_known_pixels(folder):
    image = np.random.default_rng(0).integers(0, 256, (1, 21, 30, 3), dtype=np.uint8)
    mask = np.zeros((1, 21, 30), bool)
    mask[0, 5:15, 5:15] = True
    first, second = (model.restore(model.load(folder, CPU), image, mask) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(first[~mask], image[~mask])
    assert not np.array_equal(first[mask], image[mask])


def test_a_missing_model_says_how_to_make_one(tmp_path):
    with pytest.raises(UserError, match="no model .* run dvc repro train"):
        model.load(tmp_path, CPU)


@pytest.mark.parametrize("name", ["generator.safetensors", "config.json"])
def test_a_damaged_model_is_refused_in_one_line(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="not a model of this version") as error:
        model.load(folder, CPU)
    assert "\n" not in str(error.value)


def test_weights_of_another_architecture_are_refused(folder):
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"channels": 4', '"channels": 8'))
    with pytest.raises(UserError, match="not a model of this version"):
        model.load(folder, CPU)


@pytest.mark.parametrize("name", ["cuda:99", "mps", "toaster"])
def test_a_device_that_is_not_there_is_named(name, monkeypatch):
    monkeypatch.setenv("MENDLINE_DEVICE", name)
    with pytest.raises(UserError, match=f"MENDLINE_DEVICE is '{name}'"):
        device.pick()
