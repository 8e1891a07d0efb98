import os
import subprocess
import sys

import pytest

from pipeline.tracking import data_run
from pipeline.tracking.client import connect
from tests.clone import PATIENCE, ROOT

REPOSITORY = [["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "x"]]


def test_a_data_stage_is_a_run_with_its_parameters_metrics_and_figures(store, tmp_path):
    (tmp_path / "pairs.png").write_bytes(b"picture")
    data_run.log("corrupt", {"corrupt/pairs/train": 12}, [tmp_path / "pairs.png"])
    (run,) = store.search(store.data)
    assert run.info.status == "FINISHED"
    assert run.info.run_name.startswith("corrupt, ")
    assert run.data.metrics == {"corrupt/pairs/train": 12}
    assert run.data.params["download.source"] == "sample"
    assert not any(name.startswith("train.") for name in run.data.params)
    assert [file.path for file in store.client.list_artifacts(run.info.run_id)] == ["pairs.png"]
    assert store.search(store.rows) == []


def test_the_data_and_the_code_are_named(store, tmp_path, monkeypatch):
    stage = "cmd: make, deps: [code.py, data/coco], params: [corrupt], outs: [data/pairs]"
    (tmp_path / "dvc.yaml").write_text(f"stages: {{corrupt: {{{stage}}}}}")
    (tmp_path / "dvc.lock").write_text(
        "{schema: '2.0', stages: {download: {cmd: x, params: {params.yaml: {download: {source: coco}}}, "
        "outs: [{path: data/coco, md5: c0ffee.dir}]}}}"
    )
    (tmp_path / "code.py").write_text("")
    for folder in ("coco", "pairs"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        (tmp_path / "data" / folder / "file").write_text(folder)
    (tmp_path / ".gitignore").write_text("mlflow.db\n")
    for command in REPOSITORY:
        subprocess.run(["git", *command], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
    monkeypatch.setenv("DVC_EXP_NAME", "bold-mend")
    data_run.log("corrupt", {}, [])
    (run,) = store.search(store.data)
    assert run.info.run_name == "corrupt, bold-mend"
    (read,) = run.inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.digest) == ("data/coco", "c0ffee.dir")
    assert run.data.params["download.source"] == "coco"  # what made the data, not what params.yaml has
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert run.data.tags["git.commit"] == run.data.tags["mlflow.source.git.commit"] == head
    assert run.data.tags["dvc.experiment"] == "bold-mend"
    assert run.data.tags["digest.data/pairs"].endswith(".dir")
    assert "code.corrupt" in run.data.tags


@pytest.mark.long
def test_four_processes_can_start_a_fresh_store_at_once(store, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "fresh"))
    (tmp_path / "fresh").mkdir()
    code = 'from pipeline.tracking import data_run; data_run.log("download", {"x": 1}, [])'
    environment = {"PYTHONPATH": str(ROOT), "DVC_ROOT": str(tmp_path / "fresh"), "PATH": os.defpath}
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(4)]
    assert [process.wait(PATIENCE) for process in processes] == [0] * 4
    fresh = connect()
    assert len(fresh.search(fresh.data)) == 4


def test_a_store_that_cannot_be_used_costs_finished_work_a_warning_only(store, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    data_run.log("download", {}, [])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: not tracked: MLflow at http://127.0.0.1:9")
