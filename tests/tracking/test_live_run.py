import shutil
import signal
import time

import numpy as np
import pytest

from pipeline.runtime.errors import UserError
from pipeline.tracking import live_run
from pipeline.tracking.client import ROWS, connect, prepare
from tests.mlflow_server import server_at

BLACK = np.zeros((8, 8, 3), np.uint8)


def rows(store):
    return store.search(store.rows)


def steps(store, run_id, name):
    return sorted(point.step for point in store.client.get_metric_history(run_id, name))


def pictures(store, run_id):
    return [file.path for file in store.client.list_artifacts(run_id, "images") if file.path.endswith(".png")]


def start(earlier="", required=True):
    return live_run.start("c0ffee", {"device": "cpu"}, earlier, required)


def log(run, *steps):
    for step in steps:
        run.points([(step, {"val/psnr": 20.0 + step})])
        run.picture("restored", BLACK, step)


def test_a_training_is_a_row_with_the_parameters_of_all_stages_so_far(store):
    with start():
        pass
    (run,) = rows(store)
    assert run.info.status == "FINISHED"
    assert run.data.params["corrupt.stain.opacity"] == "[0.5, 0.95]"
    assert {name.split(".")[0] for name in run.data.params} == {"download", "corrupt", "train"}
    assert run.data.tags["device"] == "cpu"
    assert run.data.tags["fingerprint"] == "c0ffee"


def test_curves_and_pictures_are_logged_by_step(store):
    with start() as run:
        log(run, 0, 10)
    history = store.client.get_metric_history(run.run_id, "val/psnr")
    assert [(point.step, point.value) for point in history] == [(0, 20.0), (10, 30.0)]
    assert len(pictures(store, run.run_id)) == 2


def stopped_training():
    """A run with the points and pictures of steps 0 and 10."""
    with pytest.raises(SystemExit), start() as run:
        log(run, 0, 10)
        raise SystemExit("stopped")
    return run.run_id


def test_a_training_that_was_stopped_goes_on_in_its_row_and_logs_no_point_twice(store):
    earlier = stopped_training()
    assert [run.info.status for run in rows(store)] == ["KILLED"]
    with start(earlier) as run:
        log(run, 0, 10, 20)
    (logged,) = rows(store)
    assert (logged.info.run_id, logged.info.status) == (earlier, "FINISHED")
    assert steps(store, earlier, "val/psnr") == [0, 10, 20]
    assert len(pictures(store, earlier)) == 3


def test_a_row_that_goes_on_under_another_experiment_has_its_name(store, monkeypatch):
    monkeypatch.setattr(live_run.lineage, "code_state", lambda: {"dvc.experiment": "killed"})
    earlier = stopped_training()
    monkeypatch.setattr(live_run.lineage, "code_state", lambda: {"dvc.experiment": "resumed"})
    with start(earlier):
        pass
    (run,) = rows(store)
    assert run.info.run_name == run.data.tags["dvc.experiment"] == "resumed"


def test_a_training_that_ended_before_dvc_could_take_its_outs_goes_on_in_its_row(store):
    with start() as first:
        log(first, 0, 10)
    with start(first.run_id) as again:
        log(again, 0, 10)
    (logged,) = rows(store)
    assert (logged.info.run_id, logged.info.status) == (first.run_id, "FINISHED")
    assert steps(store, first.run_id, "val/psnr") == [0, 10]


def test_what_a_training_made_is_noted_where_mlflow_cannot_be_told(store, tmp_path, capsys):
    with start() as run:
        (tmp_path / "mlflow.db").unlink()
        run.tag(live_run.MADE, "c0ffee.dir")
    assert capsys.readouterr().err.splitlines()[-1].endswith("evaluate or make sync-mlflow adds what is missing")
    assert (tmp_path / ".cache/mlflow-unsent" / run.run_id).read_text() == "c0ffee.dir"


def test_a_row_that_is_gone_or_an_experiments_or_of_another_training_is_begun_anew(store, tmp_path):
    gone = stopped_training()
    store.client.delete_run(gone)
    with start() as finished:
        pass
    store.client.set_tag(finished.run_id, "result", "f00d")
    with start(finished.run_id) as next_row:
        assert next_row.run_id != finished.run_id
    other = stopped_training()
    params = tmp_path / "params.yaml"
    params.write_text(params.read_text().replace("lr: 0.0008", "lr: 0.0007"))
    for earlier in ("c0ffee", gone, finished.run_id, other):
        with start(earlier) as run:
            assert run.run_id != earlier
            run.points([(step, {"train/l1": 0.1}) for step in range(2500)])
        assert steps(store, run.run_id, "train/l1") == list(range(2500))


def test_a_training_that_fails_is_a_failed_row(store):
    with pytest.raises(UserError), start():
        raise UserError("no train pairs")
    assert [run.info.status for run in rows(store)] == ["FAILED"]


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////dev/null/mlflow.db", "mysql://127.0.0.1:9/x"])
def test_where_mlflow_cannot_be_used_a_training_ends_with_one_line_or_goes_on(uri, store, monkeypatch, capsys, caplog):
    caplog.set_level("CRITICAL", "mlflow")  # as the stages have it: MLflow logs each try to reach a database
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match=f"MLflow at {uri}: .*tracking.required: false") as error, start():
        pass
    assert "\n" not in str(error.value)
    with start(required=False) as run:
        log(run, 0)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: not tracked: MLflow at {uri}")


def test_a_server_that_is_down_is_noticed_before_any_work(monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="MLflow at http://127.0.0.1:9: no connection; start it"):
        prepare(required=True)
    prepare(required=False)
    assert capsys.readouterr().err.startswith("warning: not tracked: MLflow at http://127.0.0.1:9")


def test_files_that_cannot_be_kept_cost_a_warning(store, tmp_path, capsys):
    with start() as run:
        shutil.rmtree(tmp_path / "mlartifacts", ignore_errors=True)
        (tmp_path / "mlartifacts").write_text("in the way")
        log(run, 0)
    first, last = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert first.startswith("warning: MLflow at sqlite:")
    assert "make sync-mlflow" in last
    assert steps(store, run.run_id, "val/psnr") == [0]


@pytest.mark.long
def test_a_server_that_does_not_answer_costs_a_training_no_time_and_no_point(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "params.yaml").write_text("{download: {}, corrupt: {}, train: {}}")
    with server_at(tmp_path) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        with start() as run:
            server.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            for step in range(500):
                run.points([(step, {"train/l1": 0.1})])
            run.picture("restored", BLACK, 0)
            assert time.monotonic() - began < 1
            server.send_signal(signal.SIGCONT)
        store = connect()
        assert store.client.get_experiment(store.rows).name == ROWS
        assert steps(store, run.run_id, "train/l1") == list(range(500))
        assert len(pictures(store, run.run_id)) == 1
