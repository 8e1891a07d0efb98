import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from pipeline.errors import UserError
from pipeline.restore.restorer import MODELS, Restorer
from tests.clone import ROOT

PHOTO = data.coffee()[100:250, 150:370]
HOLE = np.zeros(PHOTO.shape[:2], bool)
HOLE[50:58, 20:180] = True

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # what Python does where it is not installed
from pipeline import mend
mend.main()
assert "pandas" not in sys.modules and "pydantic" not in sys.modules
"""


def close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return np.abs(ours.astype(float) - theirs).max() <= 1


@pytest.mark.parametrize("name", ["restore", "superres"])
def test_the_onnx_files_that_ship_restore_as_pytorch_does(name):
    hole = HOLE if name == "restore" else np.ones_like(HOLE)
    ours, theirs = (Restorer.load(MODELS / name / file)(PHOTO, hole) for file in ("", "generator.onnx"))
    assert close(ours, theirs)
    assert not np.array_equal(ours, PHOTO)


def test_export_writes_a_file_that_any_size_fits(tmp_path):
    import onnxruntime

    for name in ("generator.safetensors", "config.json"):
        shutil.copy(MODELS / "restore" / name, tmp_path)
    command = [sys.executable, "-m", "pipeline.export", str(tmp_path)]
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
    command = [sys.executable, "-m", "pipeline.export", "data/model"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: data/model: is an out of DVC; keep the model first")
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
