import json
import resource
from hashlib import sha256

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.networks import device, weights
from pipeline.networks.registry import build_generator
from pipeline.runtime.errors import UserError, one_line

CPU = torch.device("cpu")
ARGUMENTS = {"design": "residual", "channels": 4, "blocks": 1, "scales": 2, "patch": 2}


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    generator = build_generator(**ARGUMENTS)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    weights.save(tmp_path / "model", generator, {"generator": ARGUMENTS})
    return tmp_path / "model"


def test_a_saved_model_restores_alike_and_keeps_known_pixels(folder):
    image = np.random.default_rng(0).integers(0, 256, (1, 21, 30, 3), dtype=np.uint8)
    mask = np.zeros((1, 21, 30), bool)
    mask[0, 5:15, 5:15] = True
    first, second = (weights.restore(weights.load(folder, CPU), image, mask) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(first[~mask], image[~mask])
    assert not np.array_equal(first[mask], image[mask])


def test_a_missing_model_says_how_to_make_one(tmp_path):
    with pytest.raises(UserError, match="no model .config.json is missing.; name a folder that dvc repro train or"):
        weights.load(tmp_path, CPU)


def test_colleagues_may_read_the_weights_as_they_may_the_rest(folder):
    assert (folder / "generator.safetensors").stat().st_mode == (folder / "config.json").stat().st_mode


@pytest.mark.parametrize("name", ["generator.safetensors", "config.json"])
def test_a_damaged_model_is_refused_in_one_line(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="not a model of this version") as error:
        weights.load(folder, CPU)
    assert "\n" not in str(error.value)


def test_weights_of_another_architecture_are_refused(folder):
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"channels": 4', '"channels": 8'))
    with pytest.raises(UserError, match="not a model of this version"):
        weights.load(folder, CPU)


@pytest.mark.parametrize("name", ["cuda:99", "mps", "toaster"])
def test_a_device_that_is_not_there_is_named(name, monkeypatch):
    monkeypatch.setenv("MENDLINE_DEVICE", name)
    with pytest.raises(UserError, match=f"MENDLINE_DEVICE is '{name}'"):
        device.resolve_device()


def test_what_an_older_model_does_not_say_is_as_it_was(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["sha256"]
    (folder / "config.json").write_text(json.dumps(config))
    generator = weights.load(folder, CPU, {"channels": 4, "see_through": True})
    assert generator.prior == "harmonic" and generator.see_through


def test_a_textbook_model_needs_no_more_than_its_own_arguments(tmp_path):
    arguments = {"design": "textbook", "channels": 4, "scales": 2}
    weights.save(tmp_path / "model", build_generator(**arguments), {"generator": arguments})
    assert weights.load(tmp_path / "model", CPU).stride == 4


def test_a_design_without_a_prior_is_no_refiner(folder, tmp_path):
    arguments = {"design": "textbook", "channels": 4, "scales": 2}
    weights.save(tmp_path / "textbook", build_generator(**arguments), {"generator": arguments})
    assert weights.load_refiner(folder, CPU).prior == "harmonic"
    with pytest.raises(UserError, match=f"{tmp_path}/textbook: the textbook design has no prior to start from; give"):
        weights.load_refiner(tmp_path / "textbook", CPU)


def reconfigured(**changes):
    def change(folder):
        path = folder / "config.json"
        config = json.loads(path.read_text())
        path.write_text(json.dumps(config | {"generator": config["generator"] | changes}))

    return change


def reweighted(change):
    """Other weights, as if they had been saved with the model."""

    def reweight(folder):
        weights = folder / "generator.safetensors"
        save_file(change(load_file(weights)), weights)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"sha256": sha256(weights.read_bytes()).hexdigest()}))

    return reweight


def written(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def turned_into_a_folder(folder):
    (folder / "generator.safetensors").unlink()
    (folder / "generator.safetensors").mkdir()


def headed(header):
    return len(header).to_bytes(8, "little") + header


NAME = "stem.1.bias"
DAMAGE = {
    "blocks without end": reconfigured(blocks=10_000_000),
    "channels without end": reconfigured(channels=30_000),
    "all memory": reconfigured(channels=1024, scales=6),
    "an unknown prior": reconfigured(prior="magic"),
    "an unknown design": reconfigured(design="magic"),
    "an unknown key": reconfigured(magic=1),
    "a long key": reconfigured(**{"magic" * 2000: 1}),
    "a key of lines": reconfigured(**{"a\nb\u2028": 1}),
    "a long value": reconfigured(prior="magic" * 2000),
    "a value of lists": reconfigured(prior=[["magic"] * 200] * 200),
    "a word for a number": reconfigured(channels="4"),
    "nothing for a number": reconfigured(channels=None),
    "no JSON": written("config.json", b"{"),
    "not UTF-8": written("config.json", b"\xff\xfe{}"),
    "deep": written("config.json", b"[" * 100_000),
    "a list": written("config.json", b"[]"),
    "no generator": written("config.json", b"{}"),
    "a generator that is a list": written("config.json", b'{"generator": []}'),
    "no weights": lambda folder: (folder / "generator.safetensors").unlink(),
    "a folder": turned_into_a_folder,
    "a header without end": written("generator.safetensors", b"\xff" * 8 + b"{}"),
    "empty": written("generator.safetensors", b""),
    "not a number": reweighted(lambda tensors: tensors | {NAME: tensors[NAME] * torch.nan}),
    "half": reweighted(lambda tensors: {name: tensor.half() for name, tensor in tensors.items()}),
    "double": reweighted(lambda tensors: {name: tensor.double() for name, tensor in tensors.items()}),
    "a tensor less": reweighted(lambda tensors: {name: tensor for name, tensor in tensors.items() if name != NAME}),
    "a tensor more": reweighted(lambda tensors: tensors | {"more": torch.zeros(1)}),
    "a tensor with a long name": reweighted(lambda tensors: tensors | {"more" * 2000: torch.zeros(1)}),
    "a tensor with a name of lines": reweighted(lambda tensors: tensors | {"a\nb\u2028": torch.zeros(1)}),
    "a tensor of many dimensions": reweighted(lambda tensors: tensors | {NAME: torch.zeros([1] * 1000)}),
    "a type with a long name": written("generator.safetensors", headed(b'{"a": {"dtype": "' + b"X" * 9000 + b'"}}')),
    "another shape": reweighted(lambda tensors: tensors | {NAME: torch.zeros(5)}),
    "another value": lambda folder: save_file(
        {name: tensor + 1e-3 for name, tensor in load_file(folder / "generator.safetensors").items()},
        folder / "generator.safetensors",
    ),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_model_that_was_damaged_is_refused_in_one_line(how, folder):
    DAMAGE[how](folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=f"{folder}: no.* model .*; name a folder that dvc repro train") as error:
        weights.load(folder, CPU)
    assert str(error.value) == one_line(str(error.value))
    assert len(str(error.value)) < 500 + len(str(folder))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


@pytest.mark.parametrize("changes", [{}, {"image_size": "large"}, {"trained_on": None}, {"trained_on": {"data": 1}}])
def test_a_configuration_without_what_the_card_says_is_refused(changes, folder):
    config = json.loads((folder / "config.json").read_text())
    whole = config | {"image_size": 32, "trained_on": {"data/coco": "c0ffee"}}
    (folder / "config.json").write_text(json.dumps(whole))
    assert weights.facts(folder) == whole
    (folder / "config.json").write_text(json.dumps(whole | changes if changes else config))
    with pytest.raises(UserError, match="not a model .*config.json: (image_size|trained_on).; name a folder"):
        weights.facts(folder)


class Black(torch.nn.Module):
    """Paints all of a picture black, and not the hole alone."""

    def __init__(self):
        super().__init__()
        self.level = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image, mask):
        return image * self.level


def test_known_pixels_are_kept_whatever_the_network_gives():
    images = np.random.default_rng(0).integers(1, 256, (2, 16, 24, 3), dtype=np.uint8)
    masks = np.zeros((2, 16, 24), bool)
    masks[0, 2:9, 3:5] = masks[1, 10:, :7] = True
    assert np.array_equal(weights.restore(Black(), images, masks), np.where(masks[..., None], 0, images))
