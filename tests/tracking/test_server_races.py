"""Ten clients at once on one server: no row is lost or doubled, and the best model is the champion."""

import os
import subprocess
import sys
from collections import Counter

import pytest

from pipeline import lineage
from pipeline.tracking import model_registry, server_lock
from pipeline.tracking.client import connect
from tests.clone import PATIENCE, ROOT
from tests.mlflow_server import server_at
from tests.tracking import race


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with server_at(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def store(server, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return connect


@pytest.mark.slow
def test_two_hundred_runs_of_ten_processes_make_each_row_once_and_one_champion(store, server):
    done = subprocess.run(
        [sys.executable, "-m", "tests.tracking.race"],
        cwd=ROOT,
        env=os.environ | {"MLFLOW_TRACKING_URI": server.uri},
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    reached = store()
    rows = reached.search(reached.rows, complete="true")
    expected = {lineage.result_key(race.stages(result)) for result in range(race.RESULTS)}
    assert Counter(run.data.tags["result"] for run in rows) == dict.fromkeys(expected, 1)
    trainings = [run for run in rows if "fingerprint" in run.data.tags]
    assert len(trainings) == race.RESULTS // 2
    assert len(reached.search(reached.rows)) == race.RESULTS
    versions = reached.client.search_model_versions(f"name = '{model_registry.NAME}'", max_results=1000)
    assert Counter(version.run_id for version in versions) == {run.info.run_id: 1 for run in rows}
    champion = reached.client.get_model_version_by_alias(model_registry.NAME, model_registry.ALIAS)
    best = max(rows, key=lambda run: run.data.metrics["evaluate/psnr"])
    assert champion.run_id == best.info.run_id
    assert not [model.name for model in reached.client.search_registered_models() if model.name != model_registry.NAME]


def test_a_lock_whose_holder_has_died_is_taken_over_once(store, monkeypatch):
    client = store().client
    client.create_registered_model("mendline-lock-x", {server_lock.HOLDER: "dead"})
    monkeypatch.setattr(server_lock, "DEAD", 0.5)
    with server_lock.exclusive(client, "x"):
        assert client.get_registered_model("mendline-lock-x").tags[server_lock.HOLDER] != "dead"
        server_lock._set_aside(client, "mendline-lock-x", "dead")  # another had waited for the dead one too
        assert client.get_registered_model("mendline-lock-x")
    assert [model.name for model in client.search_registered_models("name LIKE 'mendline-lock%'")] == [
        "mendline-lock-x-dead"
    ]


def test_a_holder_that_lives_is_not_taken_for_dead(store, monkeypatch):
    client = store().client
    monkeypatch.setattr(server_lock, "SIGN", 0.05)
    with server_lock.exclusive(client, "y"):
        first = client.get_registered_model("mendline-lock-y").last_updated_timestamp
        assert _later(client, first)
    assert not client.search_registered_models("name = 'mendline-lock-y'")


def _later(client, first):
    from tests.clone import wait_until

    return wait_until(lambda: client.get_registered_model("mendline-lock-y").last_updated_timestamp > first)
