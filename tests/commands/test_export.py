import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file
from skimage import data

from pipeline.commands import export
from pipeline.inference.model_files import MODELS
from pipeline.inference.restorer import Restorer
from pipeline.networks import weights
from pipeline.networks.registry import build_generator
from pipeline.runtime.errors import UserError
from tests.clone import ROOT

PHOTO = data.coffee()[100:250, 150:370]
HOLE = np.zeros(PHOTO.shape[:2], bool)
HOLE[50:58, 20:180] = True
SMALL = {"design": "residual", "channels": 4, "blocks": 1, "scales": 2, "patch": 2, "prior": "plate"}

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # what Python does where it is not installed
from pipeline.commands import mend
mend.main()
assert "pandas" not in sys.modules and "pydantic" not in sys.modules
"""


def close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return np.abs(ours.astype(float) - theirs).max() <= 1


@pytest.mark.parametrize("name", ["restore", "general"])
def test_the_onnx_files_that_ship_restore_as_pytorch_does(name):
    ours, theirs = (Restorer.load(MODELS / name / file)(PHOTO, HOLE) for file in ("", "generator.onnx"))
    assert close(ours, theirs)
    assert not np.array_equal(ours, PHOTO)


def test_export_writes_a_file_that_any_size_fits(tmp_path):
    import onnxruntime

    for name in ("generator.safetensors", "config.json"):
        shutil.copy(MODELS / "restore" / name, tmp_path)
    command = [sys.executable, "-m", "pipeline.commands.main", "export", str(tmp_path)]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "differs from PyTorch by" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json",
        "generator.onnx",
        "generator.safetensors",
    ]
    assert (tmp_path / "generator.onnx").stat().st_size < 100_000, "the weights are there already"
    session = onnxruntime.InferenceSession(tmp_path / "generator.onnx")
    for height, width in [(40, 40), (61, 133)]:
        image, mask = np.full((2, 3, height, width), 0.5, np.float32), np.zeros((2, 1, height, width), np.float32)
        mask[:, :, 8:20, 8:30] = 1
        (restored,) = session.run(None, {"image": image, "mask": mask, "start": image})
        assert restored.shape == image.shape
        assert np.array_equal(restored * (1 - mask), image * (1 - mask))
    assert json.loads(session.get_modelmeta().custom_metadata_map["config"])["generator"]["prior"]


def test_an_out_of_dvc_is_left_as_it_is(tmp_path):
    out = tmp_path / "data/model"
    shutil.copytree(MODELS / "restore", out)
    before = sorted(out.iterdir())
    command = [sys.executable, "-m", "pipeline.commands.main", "export", "data/model"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: data/model: is an out of DVC; save the model first")
    assert sorted(out.iterdir()) == before


def test_a_graph_without_its_weights_is_refused_in_one_line(tmp_path):
    shutil.copy(MODELS / "restore/generator.onnx", tmp_path)
    with pytest.raises(UserError, match="generator.onnx: not a generator"):
        Restorer.load(tmp_path / "generator.onnx")


def test_the_command_restores_without_pytorch(tmp_path):
    from PIL import Image

    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    Image.fromarray(HOLE).save(tmp_path / "mask.png")
    arguments = ["photo.png", "--mask", "mask.png", "-o", "out.png"]
    command = [sys.executable, "-c", WITHOUT_TORCH, *arguments]
    subprocess.run(command, cwd=tmp_path, check=True, env={"PYTHONPATH": str(ROOT)})
    assert close(np.asarray(Image.open(Path(tmp_path, "out.png"))), Restorer.load()(PHOTO, HOLE))


def test_a_file_that_is_no_generator_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(UserError, match="a.onnx: not a generator"):
        Restorer.load(tmp_path / "a.onnx")


@pytest.fixture
def exported(tmp_path):
    """A small model with its graph beside it."""
    torch.manual_seed(0)
    generator = build_generator(**SMALL)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    weights.save(tmp_path / "model", generator, {"generator": SMALL})
    export.write(export.Refine(generator), {"generator": SMALL}, tmp_path / "model/generator.onnx")
    return tmp_path / "model/generator.onnx"


def retold(path, **facts):
    """Write a graph with other metadata."""
    graph = onnx.load(path, load_external_data=False)
    told = {each.key: each.value for each in graph.metadata_props} | facts
    onnx.helper.set_model_props(graph, {key: value for key, value in told.items() if value is not None})
    onnx.save(graph, path)


def rewired(path):
    """A graph that takes one more number."""
    graph = onnx.load(path, load_external_data=False)
    graph.graph.input.append(onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [1]))
    onnx.save(graph, path)


def with_weights(path, change):
    weights = path.with_name("generator.safetensors")
    save_file({name: change(tensor) for name, tensor in load_file(weights).items()}, weights)


SPOILT = {
    "no weights": lambda path: path.with_name("generator.safetensors").unlink(),
    "cut weights": lambda path: path.with_name("generator.safetensors").write_bytes(b"{}" * 500),
    "another model's weights": lambda path: with_weights(path, lambda tensor: tensor + 0.01),
    "another input": rewired,
    "no metadata": lambda path: retold(path, config=None),
    "no JSON": lambda path: retold(path, config="{"),
    "a list": lambda path: retold(path, config="[]"),
    "an unknown prior": lambda path: retold(path, config=json.dumps({"generator": {"prior": "magic"}})),
    "a prior that is a list": lambda path: retold(path, config=json.dumps({"generator": {"prior": ["plate"]}})),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_graph_that_was_spoilt_is_refused_in_one_line(how, exported, capfd):
    Restorer.load(exported)
    SPOILT[how](exported)
    with pytest.raises(UserError, match="generator.onnx: not a generator .*; export one, and keep its") as error:
        Restorer.load(exported)
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_an_older_graph_with_weights_that_are_no_numbers_is_refused(exported):
    retold(exported, weights=None)
    Restorer.load(exported)
    with_weights(exported, lambda tensor: tensor * torch.nan)
    with pytest.raises(UserError, match="what it gives is no picture"):
        Restorer.load(exported)


@pytest.mark.parametrize("name", ["nowhere.onnx", "nowhere"])
def test_a_model_that_is_not_there_is_one_line(name, tmp_path):
    with pytest.raises(UserError, match=f"{name}: no .*; (give|name) a "):
        Restorer.load(tmp_path / name)
