"""Stages that are killed, and what the next `dvc repro` makes of it."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress

import psutil
import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tests.clone import finish, wait_until
from tests.end_to_end.test_dvc import STAGES

SECONDS = 60.0  # in which everything that was stopped has ended


def lock(clone):
    """The stages in dvc.lock, whatever their order."""
    return YAML(typ="safe", pure=True).load(clone.folder / "dvc.lock")["stages"]


def forget(clone, stage):
    """As if DVC had never seen the end of the stage."""
    yaml = YAML()
    content = yaml.load(clone.folder / "dvc.lock")
    del content["stages"][stage]
    yaml.dump(content, clone.folder / "dvc.lock")
    shutil.rmtree(clone.folder / ".dvc/cache/runs", ignore_errors=True)


def checkpoints(clone):
    return set((clone.folder / ".cache/checkpoints").glob("*/step-????????.safetensors"))


def stop(process, number, whom):
    """Send a signal while the stage runs; return what was printed, once nothing is left of it."""
    started = psutil.Process(process.pid).children(recursive=True)
    match whom:
        case "dvc":
            process.send_signal(number)
        case "group":  # as the terminal does on Ctrl-C
            os.killpg(process.pid, number)
        case "stage":
            started[0].send_signal(number)
        case "all":
            for part in [*started, psutil.Process(process.pid)]:
                with suppress(psutil.NoSuchProcess):
                    part.send_signal(number)
    printed = "".join(finish(process, SECONDS))
    _, alive = psutil.wait_procs(started, timeout=SECONDS)
    assert alive == []
    return printed


def kill(clone, stage, seconds):
    """Start the stage, and kill it and DVC after a while, wherever they are."""
    with clone.start("dvc", "repro", "--single-item", stage) as process:
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            stop(process, signal.SIGKILL, "all")
        finish(process)
    remove_half_written(clone)


def remove_half_written(clone):
    """Remove the files that DVC was killed in the middle of writing, as the README says."""
    try:
        lock(clone)
    except (YAMLError, TypeError):
        (clone.folder / "dvc.lock").unlink()
    held = clone.folder / ".dvc/tmp/rwlock"
    try:
        json.loads(held.read_text())
    except ValueError:
        held.unlink()


def same_up_to(stage, clone, undisturbed):
    """Whether all stages up to this one have made the same, of the same."""
    names = list(STAGES)[: list(STAGES).index(stage) + 1]
    return [lock(clone)[name] for name in names] == [lock(undisturbed)[name] for name in names]


@pytest.mark.long
def test_stages_killed_at_some_moment_end_in_the_same_bytes(clone, undisturbed):
    for seed, stage in enumerate(["evaluate", "train", "corrupt"]):
        forget(clone, stage)
        kill(clone, stage, random.Random(seed).uniform(1, 8))
    clone.run("dvc", "repro", "evaluate")
    assert same_up_to("evaluate", clone, undisturbed)


@pytest.fixture(scope="module")
def durations(clone):
    """Seconds that each stage takes under DVC."""
    seconds = {}
    for stage in STAGES:
        began = time.monotonic()
        clone.run("dvc", "repro", "--force", "--single-item", stage)
        seconds[stage] = time.monotonic() - began
    return seconds


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_killed_at_any_moment_ends_in_the_same_bytes(stage, seed, clone, undisturbed, durations):
    forget(clone, stage)
    kill(clone, stage, random.Random(f"{stage} {seed}").uniform(0.2, 1) * durations[stage])
    clone.run("dvc", "repro", stage)
    assert same_up_to(stage, clone, undisturbed)


@pytest.mark.long
def test_a_training_that_had_ended_when_dvc_was_killed_is_not_done_again(clone, undisturbed):
    forget(clone, "train")
    with clone.start("dvc", "repro", "--single-item", "train") as process:
        next(line for line in process.stdout if line.startswith("val PSNR"))
        stop(process, signal.SIGKILL, "all")
    remove_half_written(clone)
    assert "train" not in lock(clone)
    assert "continues at step 40 of 40" in clone.run("dvc", "repro", "--single-item", "train")
    assert same_up_to("train", clone, undisturbed)
    assert len(checkpoints(clone)) == 1
    assert "starts at step 0" in clone.run("dvc", "repro", "--force", "--single-item", "train")
    assert len(checkpoints(clone)) == 1
    clone.run("dvc", "repro", "--force", "--single-item", "evaluate")
    assert not checkpoints(clone)
    assert same_up_to("evaluate", clone, undisturbed)


@pytest.mark.long
def test_a_training_that_is_stopped_again_and_again_goes_on_each_time(clone, undisturbed):
    ways = [(signal.SIGKILL, "stage"), (signal.SIGTERM, "dvc"), (signal.SIGINT, "group")]
    for number, whom in ways:
        before = checkpoints(clone)
        with clone.start("dvc", "repro", "--force", "--single-item", "train") as process:
            wait_until(lambda before=before: checkpoints(clone) - before or process.poll() is not None)
            printed = stop(process, number, whom)
        assert process.returncode != 0
        assert ("continues at step" in printed) == bool(before)
        assert "Traceback" not in printed
        if number != signal.SIGKILL:
            assert printed.count("error: stopped by ") == 1
    clone.run("dvc", "repro", "--force", "--single-item", "train")
    assert lock(clone) == lock(undisturbed)
    clone.run("dvc", "repro", "--force", "--single-item", "evaluate")
    assert not checkpoints(clone)

    client = MlflowClient(f"sqlite:///{clone.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("mendline")
    runs = client.search_runs([experiment.experiment_id], order_by=["start_time DESC"])
    assert {run.info.status for run in runs} == {"FINISHED"}
    undisturbed_run, resumed_run = runs[-1].info.run_id, runs[0].info.run_id
    for name in [name for name in runs[0].data.metrics if name.startswith(("train/", "val/"))]:
        points = Counter(point.step for point in client.get_metric_history(resumed_run, name))
        assert points == Counter(point.step for point in client.get_metric_history(undisturbed_run, name))
    assert len(client.list_artifacts(resumed_run, "images")) == len(client.list_artifacts(undisturbed_run, "images"))


@pytest.mark.parametrize(
    ("number", "whom"),
    [
        pytest.param(signal.SIGKILL, "stage", marks=pytest.mark.long),
        *(pytest.param(signal.SIGTERM, whom, marks=pytest.mark.slow) for whom in ("stage", "dvc")),
    ],
)
def test_an_experiment_killed_in_the_queue_goes_on_when_it_is_queued_again(number, whom, clone):
    clone.commit()
    before = checkpoints(clone)
    lr = {"SIGKILL stage": 1e-3, "SIGTERM stage": 2e-3, "SIGTERM dvc": 3e-3}[f"{number.name} {whom}"]
    changes = [f"--set-param=train.lr={lr}", "--set-param=train.steps=300"]
    queue(clone, "killed", *changes)
    wait_until(lambda: checkpoints(clone) - before)
    stage = next(process for process in psutil.process_iter() if runs_training(process, clone))
    target = stage if whom == "stage" else next(parent for parent in stage.parents() if "exec-run" in parent.cmdline())
    target.send_signal(number)
    _, alive = psutil.wait_procs([stage], timeout=SECONDS)
    assert alive == []
    assert not ended_well(clone, "killed")
    queue(clone, "resumed", *changes)
    assert ended_well(clone, "resumed")
    assert "continues at step" in clone.run("dvc", "queue", "logs", "resumed")
    clone.run("dvc", "exp", "run", "--temp", "--force", "--name", "whole", *changes)
    assert lock_of(clone, "resumed") == lock_of(clone, "whole")
    clone.run("dvc", "exp", "remove", "resumed", "whole")
    clone.run("dvc", "queue", "remove", "--all")


def queue(clone, name, *changes):
    """Queue an experiment and start a worker, which goes on when this has returned."""
    clone.run("dvc", "exp", "run", "--queue", "--name", name, *changes)
    clone.run("sh", "-c", "dvc queue start >/dev/null 2>&1")  # or its worker would hold our pipe


def ended_well(clone, name):
    """Wait for the end of a queued experiment."""

    def row() -> str:
        return next(row for row in clone.run("dvc", "queue", "status").splitlines() if f" {name} " in row)

    return wait_until(lambda: not (line := row()).endswith(("Running", "Queued")) and line, 2).endswith("Success")


def lock_of(clone, experiment):
    (commit,) = clone.run("git", "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{experiment}").split()
    return clone.run("git", "show", f"{commit}:dvc.lock")


def runs_training(process, clone):
    with suppress(psutil.Error):
        return process.cmdline()[1:] == ["-m", "pipeline.train"] and str(clone.folder) in process.cwd()
    return False


@pytest.mark.slow
def test_under_a_constant_schedule_a_longer_training_goes_on_from_the_end_of_a_shorter(clone):
    clone.set("train.schedule", "constant")
    clone.set("train.steps", 25)
    assert "starts at step 0 of 25" in clone.run("dvc", "repro", "train")
    clone.set("train.steps", 40)
    assert "continues at step 25 of 40" in clone.run("dvc", "repro", "train")
    continued = lock(clone)
    for path in checkpoints(clone):
        path.unlink()
    assert "starts at step 0 of 40" in clone.run("dvc", "repro", "--force", "--single-item", "train")
    assert lock(clone) == continued
