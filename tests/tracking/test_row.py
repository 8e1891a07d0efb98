import pytest

from pipeline.tracking import row
from pipeline.tracking.live import MADE

PARAMS = {"params.yaml": {"train": {"lr": 0.1}}}


def stages(model="c0ffee.dir"):
    train = {"cmd": "train", "params": PARAMS, "outs": [{"path": "data/model", "md5": model}]}
    return {"train": train, "evaluate": {"params": {}}}


def training(store, status, **tags):
    run_id = store.client.create_run(
        store.rows, tags={"training": row.lineage.training_key(stages())} | tags
    ).info.run_id
    if status != "RUNNING":
        store.client.set_terminated(run_id, status)
    return run_id


def claimed(store, made="c0ffee.dir"):
    return row.claim(store, stages(made), {}).info.run_id


def test_the_training_that_made_the_model_becomes_the_row_once(store):
    made = training(store, "FINISHED", **{MADE: "c0ffee.dir"})
    training(store, "FINISHED", **{MADE: "decaf.dir"})
    assert claimed(store) == made
    assert claimed(store) == made
    assert store.client.get_run(made).data.tags["result"] == row.lineage.result_key(stages())


@pytest.mark.parametrize("status", ["RUNNING", "KILLED", "FAILED"])
def test_a_training_that_may_still_run_or_has_come_to_nothing_does_not(store, status, tmp_path):
    unfinished = training(store, status, fingerprint="f00d")
    assert claimed(store) != unfinished
    (tmp_path / ".cache/checkpoints/f00d").mkdir(parents=True)
    (tmp_path / ".cache/checkpoints/f00d.lock").touch()
    assert claimed(store, "decaf.dir") != unfinished


def test_a_training_whose_end_could_not_be_logged_does_if_it_ended_well_here(store, tmp_path):
    lost = training(store, "RUNNING", fingerprint="f00d")
    (tmp_path / ".cache/checkpoints").mkdir(parents=True)
    (tmp_path / ".cache/checkpoints/f00d.lock").touch()
    assert claimed(store) == lost
