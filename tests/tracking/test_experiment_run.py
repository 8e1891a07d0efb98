import json
import multiprocessing
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pipeline.networks import weights
from pipeline.networks.registry import build_generator
from pipeline.params import Champion
from pipeline.tracking import experiment_run, model_registry
from pipeline.tracking.client import connect, download
from pipeline.tracking.live_run import MADE
from pipeline.tracking.model_registry import NAME
from tests.clone import ROOT

FRESH = multiprocessing.get_context("spawn")
RULE = Champion(metric="psnr", margin=0.0)

PARAMS = {"params.yaml": {"train": {"lr": 0.1}}}


def stages(model="c0ffee.dir"):
    train = {"cmd": "train", "params": PARAMS, "outs": [{"path": "data/model", "md5": model}]}
    return {"train": train, "evaluate": {"params": {"params.yaml": {}}}}


def training(store, status, **tags):
    run_id = store.client.create_run(
        store.rows, tags={"training": experiment_run.lineage.training_key(stages())} | tags
    ).info.run_id
    if status != "RUNNING":
        store.client.set_terminated(run_id, status)
    return run_id


def claimed(store, made="c0ffee.dir"):
    return experiment_run.claim_run(store, stages(made), {}).info.run_id


def test_the_training_that_made_the_model_becomes_the_row_once(store):
    made = training(store, "FINISHED", **{MADE: "c0ffee.dir"})
    training(store, "FINISHED", **{MADE: "decaf.dir"})
    assert claimed(store) == made
    assert claimed(store) == made
    assert store.client.get_run(made).data.tags["result"] == experiment_run.lineage.result_key(stages())


@pytest.mark.parametrize("status", ["RUNNING", "KILLED", "FAILED"])
def test_a_training_that_may_still_run_or_has_come_to_nothing_does_not(store, status):
    unfinished = training(store, status, fingerprint="f00d")
    assert claimed(store) != unfinished


def test_a_training_whose_end_could_not_be_logged_does_if_it_ended_well_here(store, tmp_path):
    lost = training(store, "RUNNING", fingerprint="f00d")
    (tmp_path / ".cache/mlflow-unsent").mkdir(parents=True)
    (tmp_path / ".cache/mlflow-unsent" / lost).write_text("c0ffee.dir")
    assert claimed(store, "decaf.dir") != lost
    assert claimed(store) == lost


def test_a_training_that_was_done_twice_before_its_evaluation_is_one_row(store):
    cut_off = training(store, "FINISHED", **{MADE: "c0ffee.dir"})
    again = training(store, "FINISHED", **{MADE: "c0ffee.dir"})
    assert claimed(store) == again
    store.client.set_tag(again, "complete", "true")
    for _ in range(3):
        assert experiment_run.is_complete(store, stages(), {})
        assert claimed(store) == again
    assert "result" not in store.client.get_run(cut_off).data.tags


def test_a_training_that_is_forced_afterwards_is_a_row_of_its_own_once(store):
    first = training(store, "FINISHED", **{MADE: "c0ffee.dir"})
    assert claimed(store) == first
    store.client.set_tag(first, "complete", "true")
    forced = training(store, "FINISHED", **{MADE: "c0ffee.dir"})
    assert not experiment_run.is_complete(store, stages(), {})
    assert claimed(store) == forced
    assert experiment_run.is_complete(store, stages(), {})


def test_where_the_registered_model_was_deleted_no_row_is_complete(store):
    run_id = training(store, "FINISHED", **{MADE: "c0ffee.dir"})
    claimed(store)
    store.client.set_tag(run_id, "complete", "true")
    store.client.log_text(run_id, "schema: '2.0'", "dvc.lock")
    store.client.create_registered_model(NAME)
    experiment_run.reopen(store)
    assert experiment_run.is_complete(store, stages(), {})
    store.client.delete_registered_model(NAME)
    experiment_run.reopen(store)
    assert not experiment_run.is_complete(store, stages(), {})


@pytest.fixture
def result(tmp_path) -> Path:
    """A folder with the files of a small result."""
    folder = tmp_path / "result"
    for name in model_registry.CODE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    arguments = {"design": "residual", "channels": 4, "blocks": 1, "scales": 2, "patch": 2}
    weights.save(folder / "data/model", build_generator(**arguments), {"generator": arguments})
    for name in ("restored", "figures"):
        (folder / "metrics" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / "metrics" / name / "step-0.png")
    for name in ("losses", "validation", "scores"):
        pd.DataFrame({"step": [0, 1], "l1": [0.5, 0.25]}).to_csv(folder / f"metrics/{name}.csv", index=False)
    (folder / "metrics/evaluate.json").write_text(json.dumps({"psnr": 30.0, "scratch": {"psnr": 31.0}}))
    (folder / "metrics/headline.json").write_text(json.dumps({"psnr": 30.0, "gain": 0.5}))
    (folder / "metrics/model_card.md").write_text("# A model")
    return folder


def complete(folder: Path) -> None:
    experiment_run.complete(connect(), stages(), {}, folder, RULE)


@pytest.mark.long
def test_what_three_processes_add_at_once_is_there_once(store, result):
    processes = [FRESH.Process(target=complete, args=(result,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 3
    (run,) = store.search(store.rows)
    names = ["psnr", "gain", "evaluate/psnr", "evaluate/scratch/psnr", "train/l1", "val/l1"]
    counts = Counter(point.key for name in names for point in store.client.get_metric_history(run.info.run_id, name))
    assert counts == dict.fromkeys(names[:4], 1) | {"train/l1": 2, "val/l1": 2}
    assert run.data.metrics["gain"] == 0.5
    assert len(store.client.search_model_versions(f"name = '{NAME}'")) == 1
    assert len(store.client.search_logged_models([store.rows])) == 1


@pytest.mark.parametrize("gone", ["mlartifacts", "mlartifacts/models"])
def test_files_that_were_deleted_are_added_again_and_the_champion_is_one_that_has_its_files(
    gone, store, tmp_path, result
):
    complete(result)
    shutil.rmtree(tmp_path / gone)
    experiment_run.reopen(store)
    assert not experiment_run.is_complete(store, stages(), {})
    complete(result)
    (run,) = store.search(store.rows)
    files = {file.path for file in store.client.list_artifacts(run.info.run_id)}
    assert files == {"images", "figures", "scores.json", "dvc.lock"}
    assert sorted(point.step for point in store.client.get_metric_history(run.info.run_id, "train/l1")) == [0, 1]
    assert (download("models:/mendline@champion") / "data/model/generator.safetensors").exists()
    experiment_run.reopen(store)
    assert experiment_run.is_complete(store, stages(), {})
