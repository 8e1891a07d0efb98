"""What MLflow shows of the pipeline, proved in scratch clones with DVC and MLflow themselves."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from pipeline import lineage
from pipeline.datasets.pairs import Pairs
from tests.clone import PATIENCE, ROOT, Clone, finish, wait_until
from tests.conftest import hashes
from tests.mlflow_server import server_at

LOSSES = [*range(3, 40, 3), 40]  # the steps of the curves, with the small parameters
SCORES = [0, 10, 20, 30, 40]
LOAD = """
import sys, mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/mendline@champion")
pictures = np.load(sys.argv[2])
np.savez(sys.argv[3], restored=model.predict({"image": pictures["image"], "mask": pictures["mask"]}))
assert "pipeline.train" not in sys.modules and "dvc" not in sys.modules
assert not sys.modules["pipeline"].__file__.startswith(sys.argv[4])
"""


def store(clone):
    return MlflowClient(clone.environment.get("MLFLOW_TRACKING_URI", f"sqlite:///{clone.folder}/mlflow.db"))


def runs(clone, experiment="mendline"):
    """The runs of an experiment, the first one first."""
    client = store(clone)
    found = client.get_experiment_by_name(experiment)
    return found and client.search_runs([found.experiment_id], order_by=["attributes.start_time ASC"])


def scores_of(client, run_id):
    """The table of the run's own pairs: another `corrupt.seed` draws other corruptions."""
    return pd.DataFrame(**json.loads(Path(client.download_artifacts(run_id, "scores.json")).read_text()))


def assert_complete(clone, run, name=None):
    """A row has all parameters, curves, scores, pictures, files and data, each once."""
    client, run_id = store(clone), run.info.run_id
    assert run.info.status == "FINISHED"
    assert name in (None, run.info.run_name)
    assert {name.split(".")[0] for name in run.data.params} == set(lineage.STAGES)
    assert 5 < run.data.metrics["evaluate/psnr"] < 60
    kinds = set(scores_of(client, run_id).corruption)
    assert {f"evaluate/{kind}/psnr_hole" for kind in kinds} <= run.data.metrics.keys()
    assert run.data.metrics["psnr"] == run.data.metrics["evaluate/psnr"]
    assert {"ssim", "gain"} <= run.data.metrics.keys()
    for metric, steps in {"train/l1": LOSSES, "val/psnr": SCORES, "evaluate/psnr": [0]}.items():
        assert sorted(point.step for point in client.get_metric_history(run_id, metric)) == steps, metric
    pictures = [file.path for file in client.list_artifacts(run_id, "images") if file.path.endswith(".png")]
    assert len(pictures) == len(SCORES)
    assert {file.path for file in client.list_artifacts(run_id)} == {"images", "figures", "scores.json", "dvc.lock"}
    assert {data.dataset.name for data in run.inputs.dataset_inputs} == {"data/coco", "data/pairs"}
    version = client.get_model_version("mendline", run.data.tags["model.version"])
    assert version.description.startswith("# Mendline generator")
    made = client.get_run(version.run_id).data.tags["digest.data/model"]
    assert run.data.tags["digest.data/model"] == made
    for kind in ("result", "training", "model.sha256", "git.commit", "git.dirty", "code.train", "digest.data/pairs"):
        assert run.data.tags[kind]


@pytest.fixture
def colleague(undisturbed, tmp_path) -> Clone:
    """A copy of the undisturbed clone, committed, whose MLflow has nothing yet."""
    folder = tmp_path / "colleague"
    ignored = shutil.ignore_patterns("mlflow.db", "mlartifacts")
    shutil.copytree(undisturbed.folder, folder, symlinks=True, ignore=ignored)
    copy = Clone(folder)
    copy.commit()
    return copy


def test_an_experiment_is_one_row_and_its_data_stages_are_linked_to_it(undisturbed):
    (run,) = runs(undisturbed)
    assert_complete(undisturbed, run)
    assert run.data.tags["stages.ran"] == "download, corrupt, train, evaluate"
    assert run.data.tags["stages.reused"] == "none"
    made_by = {data.info.run_id for data in runs(undisturbed, "mendline-data")}
    inputs = [json.loads(data.dataset.source) for data in run.inputs.dataset_inputs]
    assert {source["run_id"] for source in inputs} == made_by
    lock = lineage.parse_lock((undisturbed.folder / "dvc.lock").read_text())
    assert {source["path"]: source["md5"] for source in inputs}.items() <= lineage.digests(lock).items()


def test_the_row_has_a_table_of_all_pictures_and_the_lock(undisturbed, tmp_path):
    (run,) = runs(undisturbed)
    client = store(undisturbed)
    for name in ("scores.json", "dvc.lock"):
        client.download_artifacts(run.info.run_id, name, str(tmp_path))
    table = json.loads((tmp_path / "scores.json").read_text())
    scores = pd.read_csv(undisturbed.folder / "metrics/scores.csv")
    assert table["columns"] == list(scores)
    assert len(table["data"]) == len(scores)
    logged = lineage.parse_lock((tmp_path / "dvc.lock").read_text())
    lock = lineage.parse_lock((undisturbed.folder / "dvc.lock").read_text())
    assert lineage.result_key(logged) == lineage.result_key(lock) == run.data.tags["result"]
    assert lineage.code_digests(logged) == lineage.code_digests(lock)


def test_the_registered_model_restores_in_a_process_that_has_never_seen_the_package(undisturbed, tmp_path):
    import numpy as np

    pairs = Pairs(undisturbed.folder / "data/pairs", "test")
    _, image, mask = pairs.batch(range(4))
    np.savez(tmp_path / "given.npz", image=image, mask=mask.astype(np.uint8) * 255)
    uri = f"sqlite:///{undisturbed.folder}/mlflow.db"
    command = [sys.executable, "-c", LOAD, uri, "given.npz", "made.npz", str(ROOT)]
    subprocess.run(command, cwd=tmp_path, check=True, env={"PATH": ""}, capture_output=True, timeout=PATIENCE)
    restored = np.load(tmp_path / "made.npz")["restored"]
    assert np.array_equal(restored[~mask], image[~mask])
    assert not np.array_equal(restored, image)


@pytest.mark.long
def test_a_copied_clone_has_its_runs_and_its_champion_and_leaves_the_originals_alone(undisturbed, tmp_path):
    shutil.copytree(undisturbed.folder, tmp_path / "copy", symlinks=True)
    original = hashes(undisturbed.folder / "mlartifacts")
    copy = Clone(tmp_path / "copy")
    assert copy.mendline("sync") == "MLflow: nothing to add\n"
    (run,) = runs(copy)
    assert_complete(copy, run)
    assert run.info.artifact_uri.startswith(copy.folder.as_uri())
    copy.run("dvc", "exp", "run", "--name", "wider", "--set-param", "evaluate.radius=4")
    assert_complete(copy, runs(copy)[-1], "wider")
    copy.run(
        "python", "-c", 'from pipeline.inference.restorer import Restorer; Restorer.load("models:/mendline@champion")'
    )
    assert hashes(undisturbed.folder / "mlartifacts") == original


@pytest.mark.long
def test_the_restorer_takes_the_champion_from_the_store(undisturbed):
    compare = """
import numpy as np
from pipeline.inference.restorer import Restorer
image, hole = np.full((40, 50, 3), 90, np.uint8), np.zeros((40, 50), bool)
image[::3], hole[10:20, 10:30] = 200, True
ours, theirs = (Restorer.load(source)(image, hole) for source in ("data/model", "models:/mendline@champion"))
assert np.array_equal(ours, theirs) and not np.array_equal(ours, image)
"""
    undisturbed.run("python", "-c", compare)
    load = 'from pipeline.inference.restorer import Restorer; Restorer.load("models:/nothing@champion")'
    with undisturbed.start("python", "-c", load) as process:
        _, errors = finish(process)
    assert "UserError: models:/nothing@champion: Registered Model with name=nothing not found" in errors


@pytest.mark.long
def test_one_command_leads_from_a_model_or_a_lock_to_its_run(undisturbed):
    (run,) = runs(undisturbed)
    for path in ("data/model/generator.safetensors", "data/model", "dvc.lock"):
        assert run.info.run_id in undisturbed.mendline("find", path)
    with undisturbed.start("python", "-m", "pipeline.commands.main", "find", "README.md") as process:
        _, errors = finish(process)
    assert errors == "error: README.md: neither a model (.safetensors) nor a dvc.lock; give one of them\n"


@pytest.mark.long
def test_an_experiment_that_reuses_stages_has_a_complete_row_that_says_so(colleague):
    colleague.mendline("sync")
    (first,) = runs(colleague)
    colleague.run("dvc", "exp", "run", "--name", "wider", "--set-param", "evaluate.radius=4")
    _, second = runs(colleague)
    assert_complete(colleague, second, "wider")
    assert second.data.tags["model.version"] == first.data.tags["model.version"]
    assert len(store(colleague).search_model_versions("name = 'mendline'")) == 1
    assert second.data.tags["stages.ran"] == "evaluate"
    assert second.data.tags["stages.reused"] == "download, corrupt, train"
    assert first.data.tags["run.train"] == "not in this store"
    colleague.run("dvc", "exp", "run", "--name", "slower", "--set-param", "train.lr=0.0005")
    colleague.run("dvc", "exp", "run", "--name", "both", "--set-param", "evaluate.radius=5")
    *_, third, fourth = runs(colleague)
    assert third.data.tags["stages.ran"] == "train, evaluate"
    assert fourth.data.tags["run.train"] == third.info.run_id
    assert_complete(colleague, fourth, "both")
    printed = colleague.mendline("compare")
    assert printed.count("the same") == 5  # the workspace, the commit, three experiments
    assert "evaluate.radius" in printed
    colleague.set("evaluate.radius", 6)
    assert "the same, but evaluate.radius changed since: dvc repro" in colleague.mendline("compare")
    colleague.set("evaluate.radius", 5)
    assert colleague.mendline("sync") == "MLflow: nothing to add\n"


@pytest.mark.long
def test_a_training_whose_dvc_was_killed_before_the_lock_was_written_is_one_row(colleague):
    colleague.set("train.lr", 0.0005)
    colleague.run("dvc", "repro", "train")
    colleague.run("git", "checkout", "dvc.lock")  # as if DVC had been killed at that moment
    shutil.rmtree(colleague.folder / "data/model")
    colleague.run("dvc", "repro", "--no-run-cache")
    versions = store(colleague).search_model_versions("name = 'mendline'")
    rows = len(runs(colleague))
    for _ in range(2):
        assert colleague.mendline("sync") == "MLflow: nothing to add\n"
    assert len(runs(colleague)) == rows
    assert len(store(colleague).search_model_versions("name = 'mendline'")) == len(versions) == 1


def test_sync_gives_a_result_that_mlflow_lacks_its_complete_row(colleague):
    added = colleague.mendline("sync")
    assert added == "model mendline version 1 is the champion: there was none\nMLflow: added workspace\n"
    (row,) = runs(colleague)
    assert_complete(colleague, row)


@pytest.mark.long
def test_the_runs_of_data_that_mlflow_lacks_are_made_by_sync_so_that_a_row_leads_to_all_its_stages(
    colleague, undisturbed
):
    colleague.mendline("sync")
    (row,) = runs(colleague)
    made, first = (
        {run.data.tags["stage"]: run for run in runs(clone, "mendline-data")} for clone in (colleague, undisturbed)
    )
    assert made.keys() == first.keys() == {"download", "corrupt"}
    for stage, run in made.items():
        assert row.data.tags[f"run.{stage}"] == run.info.run_id
        assert run.data.metrics == first[stage].data.metrics
        assert run.data.params == first[stage].data.params
        assert run.data.tags["out"] == first[stage].data.tags["out"]
    store(colleague).delete_run(made["corrupt"].info.run_id)
    assert "MLflow: added workspace" in colleague.mendline("sync")
    (row,) = runs(colleague)
    assert {row.data.tags["run.download"], row.data.tags["run.corrupt"]} == {
        run.info.run_id for run in runs(colleague, "mendline-data")
    }
    assert colleague.mendline("sync") == "MLflow: nothing to add\n"


@pytest.mark.long
def test_a_registered_model_that_was_deleted_is_made_again_by_sync(colleague):
    colleague.mendline("sync")
    store(colleague).delete_registered_model("mendline")
    added = colleague.mendline("sync")
    assert added == "model mendline version 1 is the champion: there was none\nMLflow: added workspace\n"
    (row,) = runs(colleague)
    assert_complete(colleague, row)
    assert colleague.mendline("sync") == "MLflow: nothing to add\n"


@pytest.mark.long
def test_what_is_pulled_is_a_row_as_complete_as_any_other(colleague, tmp_path):
    colleague.run("dvc", "remote", "add", "--default", "team", str(tmp_path / "remote"))
    colleague.commit()
    colleague.run("git", "clone", "--quiet", "--bare", ".", str(tmp_path / "hub"))
    colleague.run("git", "remote", "add", "hub", str(tmp_path / "hub"))
    colleague.run("dvc", "push", "--quiet")
    colleague.run("dvc", "exp", "run", "--temp", "--name", "wider", "--set-param", "evaluate.radius=4")
    colleague.run("dvc", "exp", "push", "--quiet", "hub", "wider")
    scratch = tmp_path / "scratch"
    subprocess.run(["git", "clone", "--quiet", tmp_path / "hub", scratch], check=True)
    scratch = Clone(scratch)
    scratch.run("dvc", "pull", "--quiet")
    assert scratch.repro() == []
    with scratch.start("python", "-m", "pipeline.commands.main", "compare") as process:
        printed, errors = finish(process)
    assert "no row" in printed
    assert errors == "error: MLflow differs from DVC; make sync-mlflow adds what it lacks\n"
    assert scratch.mendline("sync") == (
        "model mendline version 1 is the champion: there was none\nMLflow: added workspace\n"
    )
    (row,) = runs(scratch)
    assert_complete(scratch, row)
    assert row.data.tags["stages.ran"] == "none"
    scratch.run("dvc", "exp", "pull", "--quiet", "origin", "wider")
    assert "MLflow: added wider" in scratch.mendline("sync")
    assert_complete(scratch, runs(scratch)[-1], "wider")
    assert scratch.mendline("sync") == "MLflow: nothing to add\n"


def test_outs_that_were_changed_by_hand_are_not_taken_for_the_locks(colleague):
    (colleague.folder / "metrics/evaluate.json").write_text("{}")
    with colleague.start("python", "-m", "pipeline.commands.main", "sync") as process:
        _, errors = finish(process)
    assert errors.startswith("error: metrics/evaluate.json: not as dvc.lock has it")
    assert process.returncode == 1
    assert runs(colleague) == []


@pytest.mark.long
def test_a_queue_with_two_workers_on_a_fresh_store_makes_a_complete_row_each(colleague):
    changes = {"one": "train.lr=0.001", "two": "train.seed=5", "three": "evaluate.radius=5", "four": "corrupt.seed=3"}
    for name, change in changes.items():
        colleague.run("dvc", "exp", "run", "--queue", "--name", name, "--set-param", change)
    colleague.run("sh", "-c", "dvc queue start --jobs 2 >/dev/null 2>&1")  # its workers would hold our pipe
    wait_until(lambda: not re.search("Running|Queued", colleague.run("dvc", "queue", "status")), pause=2)
    rows = {run.info.run_name: run for run in runs(colleague)}
    assert rows.keys() == changes.keys()
    for name, row in rows.items():
        assert_complete(colleague, row, name)
        parameter, value = changes[name].split("=")
        assert row.data.params[parameter] == value
        assert row.data.tags["dvc.experiment"] == name
    assert "MLflow: added workspace" in colleague.mendline("sync")
    assert colleague.mendline("compare").count("the same") == 6


@pytest.mark.long
def test_a_server_that_is_down_stops_the_pipeline_before_any_work_or_not_at_all(colleague, tmp_path):
    colleague.set("train.lr", 0.0005)
    with server_at(tmp_path) as server:
        colleague.environment["MLFLOW_TRACKING_URI"] = server.uri
        server.kill()
        with colleague.start("dvc", "repro") as process:
            _, errors = finish(process)
        assert process.returncode != 0
        assert f"error: MLflow at {server.uri}: no connection" in errors
        assert "Traceback" not in errors
        colleague.set("tracking.required", False)
        assert colleague.repro() == ["train", "evaluate"]
        server.start()
        assert "MLflow: added workspace" in colleague.mendline("sync")
        (row,) = runs(colleague)
        assert_complete(colleague, row)


@pytest.mark.long
def test_a_server_that_goes_away_during_a_training_costs_nothing(colleague, tmp_path):
    colleague.set("train.steps", 2000)
    colleague.set("train.log_every", 20)
    colleague.set("train.validate_every", 500)
    with server_at(tmp_path) as server:
        colleague.environment["MLFLOW_TRACKING_URI"] = server.uri
        with colleague.start("dvc", "repro", "train") as process:
            wait_until(lambda: "train/l1" in {name for run in runs(colleague) or [] for name in run.data.metrics})
            server.kill()
            server.start()
            printed, errors = finish(process)
        assert process.returncode == 0, printed + errors
        assert errors.count("warning: MLflow at") == 1
        colleague.run("dvc", "repro")
        (row,) = runs(colleague)
        assert row.info.status == "FINISHED"
        steps = [point.step for point in store(colleague).get_metric_history(row.info.run_id, "train/l1")]
        assert sorted(steps) == list(range(20, 2001, 20))
        assert row.data.tags["stages.ran"] == "train, evaluate"
