import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from pipeline import tracking
from pipeline.errors import UserError
from pipeline.params import load

PARAMS = load(Path(__file__).parent.parent / "params.yaml")


@pytest.fixture
def store(tmp_path, monkeypatch) -> MlflowClient:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")


def runs(client: MlflowClient) -> list:
    experiment = client.get_experiment_by_name("mendline")
    return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])


def test_a_stage_is_a_run_with_its_parameters_metrics_and_figures(store, tmp_path):
    (tmp_path / "pairs.png").write_bytes(b"picture")
    tracking.log_stage("corrupt", PARAMS, {"corrupt/pairs/train": 12}, [tmp_path / "pairs.png"])
    (run,) = runs(store)
    assert run.info.run_name == "corrupt"
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"corrupt/pairs/train": 12}
    assert run.data.params["corrupt.stain.opacity"] == "[0.5, 0.95]"
    assert run.data.params["download.source"] == "sample"
    assert not any(name.startswith("train.") for name in run.data.params)
    assert [file.path for file in store.list_artifacts(run.info.run_id, "corrupt")] == ["corrupt/pairs.png"]


def test_curves_and_pictures_are_logged_by_step(store):
    with tracking.start("train", PARAMS) as run:
        for step in (0, 10):
            run.metrics({"val/psnr": 20.0 + step}, step)
            run.picture("restored", np.zeros((8, 8, 3), np.uint8), step)
    (logged,) = runs(store)
    assert [(point.step, point.value) for point in store.get_metric_history(logged.info.run_id, "val/psnr")] == [
        (0, 20.0),
        (10, 30.0),
    ]
    assert len([file for file in store.list_artifacts(logged.info.run_id, "images") if file.path.endswith(".png")]) == 2


def stopped_training() -> str:
    """A run with the points and pictures of steps 0 and 10."""
    with pytest.raises(SystemExit), tracking.start("train", PARAMS) as run:
        for step in (0, 10):
            run.metrics({"val/psnr": 20.0}, step)
            run.picture("restored", np.zeros((8, 8, 3), np.uint8), step)
        raise SystemExit("stopped")
    return run.run_id


def test_a_run_that_was_stopped_goes_on_and_logs_no_point_twice(store):
    earlier = stopped_training()
    assert [run.info.status for run in runs(store)] == ["KILLED"]
    with tracking.start("train", PARAMS, {"device": "cpu"}, earlier) as run:
        run.curves([(step, {"val/psnr": 20.0}) for step in (0, 5, 10, 20)])
        for step in (0, 10, 20):
            run.picture("restored", np.zeros((8, 8, 3), np.uint8), step)
    (logged,) = runs(store)
    assert (logged.info.run_id, logged.info.status) == (earlier, "FINISHED")
    assert logged.data.tags["device"] == "cpu"
    assert sorted(point.step for point in store.get_metric_history(earlier, "val/psnr")) == [0, 5, 10, 20]
    assert len([file for file in store.list_artifacts(earlier, "images") if file.path.endswith(".png")]) == 3


def test_a_run_that_is_gone_or_of_other_parameters_or_finished_is_begun_anew(store):
    gone = stopped_training()
    store.delete_run(gone)
    other = PARAMS.model_copy(update={"train": PARAMS.train.model_copy(update={"lr": 1e-4})})
    with tracking.start("train", other) as finished:
        pass
    for earlier, params in [("c0ffee", PARAMS), (gone, PARAMS), (stopped_training(), other), (finished.run_id, other)]:
        with tracking.start("train", params, earlier=earlier) as run:
            assert run.run_id != earlier
            run.curves([(step, {"train/l1": 0.1}) for step in range(2500)])
        assert len(store.get_metric_history(run.run_id, "train/l1")) == 2500


def test_a_stage_that_fails_is_a_failed_run(store):
    with pytest.raises(UserError), tracking.start("train", PARAMS):
        raise UserError("no train pairs")
    assert [run.info.status for run in runs(store)] == ["FAILED"]


def test_the_data_and_the_code_are_named(store, tmp_path, monkeypatch):
    (tmp_path / "dvc.yaml").write_text("stages: {corrupt: {cmd: x, deps: [pipeline, data/coco], outs: [data/pairs]}}")
    (tmp_path / "dvc.lock").write_text("stages: {download: {cmd: x, outs: [{path: data/coco, md5: c0ffee.dir}]}}")
    (tmp_path / ".gitignore").write_text("mlflow.db\n")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], check=True)
    monkeypatch.setenv("DVC_EXP_NAME", "bold-mend")
    tracking.log_stage("corrupt", PARAMS, {}, [])
    (run,) = runs(store)
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("data/coco", "c0ffee.dir")
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert run.data.tags["git.commit"] == run.data.tags["mlflow.source.git.commit"] == head
    assert run.data.tags["git.dirty"] == "false"
    assert run.data.tags["dvc.experiment"] == "bold-mend"


def test_four_processes_can_start_a_fresh_store_at_once(store, tmp_path):
    code = f"""
from pathlib import Path
from pipeline import tracking
from pipeline.params import load
tracking.log_stage("download", load(Path({str(Path(__file__).parent.parent / "params.yaml")!r})), {{"x": 1}}, [])
"""
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent), "DVC_ROOT": str(tmp_path), "PATH": "/usr/bin:/bin"}
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert len(runs(store)) == 4


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////dev/null/mlflow.db", "postgresql://127.0.0.1:9/x"])
def test_a_store_that_cannot_be_used_stops_a_training_with_one_line(uri, store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match=f"MLflow at {uri}") as error, tracking.start("train", PARAMS):
        pass
    assert "\n" not in str(error.value)


def test_a_store_that_cannot_be_used_costs_finished_work_a_warning_only(store, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    tracking.log_stage("download", PARAMS, {}, [])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: not tracked: MLflow at http://127.0.0.1:9")


def test_a_store_that_goes_away_does_not_cost_the_training(store, tmp_path, capsys):
    with tracking.start("train", PARAMS) as run:
        shutil.rmtree(tmp_path / "mlartifacts", ignore_errors=True)
        (tmp_path / "mlartifacts").write_text("in the way")
        run.picture("restored", np.zeros((8, 8, 3), np.uint8), 0)
    assert capsys.readouterr().err.startswith("warning: MLflow at sqlite:")
    assert [run.info.status for run in runs(store)] == ["FINISHED"]
