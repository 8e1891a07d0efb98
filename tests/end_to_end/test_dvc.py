"""The stage graph, proved in a scratch clone with DVC itself."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests.clone import ROOT

STAGES = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]


def test_a_second_repro_runs_nothing_and_imports_neither_torch_nor_mlflow(clone):
    assert clone.repro() == []
    imports = clone.run("bash", "-c", "PYTHONPROFILEIMPORTTIME=1 dvc repro 2>&1")
    assert "| dvc.repo" in imports.replace("|   ", "| ")
    assert not re.search(r"\| +(torch|mlflow)\b", imports)


@pytest.mark.parametrize(
    ("key", "value", "stages"),
    [
        ("evaluate.radius", 5, ["evaluate"]),
        pytest.param("train.lr", 2e-4, ["train", "evaluate"], marks=pytest.mark.long),
        pytest.param("corrupt.stain.opacity", [0.4, 0.9], ["corrupt", "train", "evaluate"], marks=pytest.mark.long),
        pytest.param(
            "download.sample.leaves", 25, ["download", "corrupt", "train", "evaluate"], marks=pytest.mark.long
        ),
        pytest.param("download.coco.limit", 9, ["download"], marks=pytest.mark.long),
    ],
)
def test_a_changed_parameter_reruns_the_stages_it_affects(clone, key, value, stages):
    clone.set(key, value)
    assert clone.repro() == stages


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("README.md", set()),
        ("tests/end_to_end/test_dvc.py", set()),
        ("pipeline/sources/sample/source.py", {"download"}),
        ("pipeline/datasets/photos.py", {"download", "corrupt"}),
        ("pipeline/corruptions/stain.py", {"corrupt"}),
        ("pipeline/datasets/pairs.py", {"corrupt", "train", "evaluate"}),
        ("pipeline/training/trainer.py", {"train"}),
        ("pipeline/networks/generator.py", {"train", "evaluate"}),
        ("pipeline/metrics/image_quality.py", {"train", "evaluate"}),
        ("pipeline/evaluation/figures.py", {"evaluate"}),
        ("pipeline/params.py", set(STAGES)),
        ("pipeline/tracking/client.py", set()),
        ("pipeline/runtime/environment.py", set()),
        ("pipeline/runtime/errors.py", set()),
        ("pipeline/runtime/outputs.py", set(STAGES)),
        ("pipeline/corruptions/labels.py", {"corrupt", "train", "evaluate"}),
        ("pipeline/commands/sync.py", set()),
    ],
)
def test_changed_code_is_noticed_by_the_stages_that_run_it(clone, file, stages):
    path = clone.folder / file
    code = path.read_bytes()
    path.write_bytes(code + b"\n# changed\n")
    try:
        assert set(json.loads(clone.run("dvc", "status", "--json"))) == stages
    finally:
        path.write_bytes(code)


@pytest.mark.long
def test_changed_code_with_the_same_outcome_ends_there(clone):
    path = clone.folder / "pipeline/corruptions/stain.py"
    path.write_text(path.read_text() + "\n# changed\n")
    assert clone.repro() == ["corrupt"]


def test_dvc_shows_metrics_parameters_and_pictures(clone):
    metrics = json.loads(clone.run("dvc", "metrics", "show", "--json"))[""]["data"]
    assert metrics.keys() == {"metrics/headline.json"}
    assert metrics["metrics/headline.json"]["data"].keys() == {"psnr", "ssim", "gain"}
    files = ["metrics/evaluate.json", "metrics/train.json"]
    named = json.loads(clone.run("dvc", "metrics", "show", "--json", *files))[""]["data"]
    assert named["metrics/evaluate.json"]["data"]["psnr"] == metrics["metrics/headline.json"]["data"]["psnr"]
    assert 5 < named["metrics/train.json"]["data"]["val_psnr"] < 60
    (experiment,) = json.loads(clone.run("dvc", "exp", "show", "--json", "--rev", "HEAD", "--hide-queued"))[:1]
    assert experiment["data"]["params"]["params.yaml"]["data"]["train"]["steps"] == 40
    page = Path(clone.run("dvc", "plots", "show").strip().removeprefix("file://"))
    assert (page.parent / "static").exists()
    assert "Losses" in page.read_text()
    assert len(list((page.parent / "static").glob("*figures_grid.png"))) == 1


@pytest.mark.long
def test_an_experiment_takes_a_folder_of_any_name(clone):
    name = "été, it's [1]"
    for number in range(3):
        path = clone.folder / name / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (80, 60), (number, 9, 99)).save(path)
    changes = ["-S", "download.source=folder", "-S", f'download.folder.path="{name}"']
    assert "3 photos" in clone.run("dvc", "exp", "run", *changes, "download")
    lock = YAML(typ="safe", pure=True).load(clone.folder / "dvc.lock")
    assert name in {dep["path"] for dep in lock["stages"]["download"]["deps"]}
