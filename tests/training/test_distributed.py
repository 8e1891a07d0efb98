import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress

import pandas as pd
import psutil
import pytest
from safetensors.torch import load_file

from pipeline.training import distributed
from tests.clone import finish, wait_until


@pytest.fixture(scope="module")
def alone(clone):
    """The weights and curves of the run in one process."""
    return load_file(clone.folder / "data/model/generator.safetensors"), pd.read_csv(
        clone.folder / "metrics/losses.csv"
    )


def check_like(clone, alone):
    weights, losses = alone
    for name, tensor in load_file(clone.folder / "data/model/generator.safetensors").items():
        assert (tensor - weights[name]).abs().max() < 1e-3 * weights[name].abs().max() + 1e-5, name
    shared = pd.read_csv(clone.folder / "metrics/losses.csv")
    assert shared.l1.to_numpy() == pytest.approx(losses.l1.to_numpy(), rel=1e-3)


@pytest.mark.long
def test_two_processes_train_what_one_trains(clone, alone):
    clone.environment["MENDLINE_PROCESSES"] = "2"
    clone.run("dvc", "repro", "-f", "-s", "train")
    check_like(clone, alone)


@pytest.mark.long
def test_torchrun_starts_them_too(clone, alone):
    del clone.environment["MENDLINE_PROCESSES"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    clone.run(*torchrun, "-m", "pipeline.train")
    check_like(clone, alone)


def node(clone, port: int) -> subprocess.Popen:
    """One of two machines, each with one process."""
    rendezvous = ["--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", *rendezvous, "--nproc-per-node", "1"]
    return clone.start(*torchrun, "--local-addr", "127.0.0.1", "-m", "pipeline.train")


@pytest.mark.long
def test_of_two_machines_one_may_die_and_the_next_run_goes_on(clone, alone):
    before = set(clone.folder.glob(".cache/checkpoints/*/step-*.safetensors"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with node(clone, port) as first, node(clone, port) as second:
        wait_until(lambda: set(clone.folder.glob(".cache/checkpoints/*/step-*.safetensors")) - before)
        family = [child for agent in (first, second) for child in psutil.Process(agent.pid).children(recursive=True)]
        second.kill()
        assert psutil.wait_procs(family, timeout=60)[1] == []
        first.terminate()
        finish(first)
        finish(second)
    with node(clone, port) as first, node(clone, port) as second:
        said = [finish(agent) for agent in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    assert "continues at step" in said[0][0] + said[1][0]
    check_like(clone, alone)


@pytest.mark.long
def test_a_batch_that_cannot_be_shared_out_is_one_line(clone):
    with clone.start("env", "MENDLINE_PROCESSES=3", sys.executable, "-m", "pipeline.train") as process:
        _, errors = finish(process)
    assert process.returncode == 1
    assert "error: train.batch is 2; expected a multiple of 3, the number of processes" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", ["0", "two", "-1", "1025", "9" * 5000])
def test_a_wrong_number_of_processes_is_refused(monkeypatch, number):
    monkeypatch.setenv("MENDLINE_PROCESSES", number)
    with pytest.raises(distributed.UserError, match="MENDLINE_PROCESSES is"):
        distributed.processes()


def test_an_empty_number_of_processes_is_none(monkeypatch):
    monkeypatch.setenv("MENDLINE_PROCESSES", "")
    assert distributed.processes() == 1


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"RANK": "0"}, r"error: RANK is set, but .*WORLD_SIZE.*; unset RANK, or start with torchrun"),
        ({"MENDLINE_DEVICE": "meta"}, r"error: MENDLINE_DEVICE is 'meta'; expected cpu, cuda, cuda:1 .*"),
    ],
)
def test_an_environment_that_makes_no_sense_is_one_line(variables, line, clone):
    arguments = [f"{name}={value}" for name, value in variables.items()]
    with clone.start("env", *arguments, sys.executable, "-m", "pipeline.train") as process:
        _, errors = finish(process)
    assert process.returncode == 1
    assert re.fullmatch(line, errors.splitlines()[-1])
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("rank", "said"), [("0", "error: stopped by SIGTERM; run the same command again to go on\n"), ("1", "")]
)
def test_one_of_several_says_that_they_were_stopped(rank, said):
    code = """if True:
        import signal
        from pipeline.runtime import stop
        from pipeline.training import distributed
        stop.listen()
        distributed.launch(lambda: signal.raise_signal(signal.SIGTERM))
    """
    command, environment = [sys.executable, "-c", code], os.environ | {"RANK": rank}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (1, said)


def stopped_at(clone, beginning: str) -> int:
    """Train in two processes, and stop the first of them a while after it has said how it begins; the step saved."""
    with clone.start(sys.executable, "-m", "pipeline.train") as process:
        said = next(line for line in process.stdout if line.startswith(("starts", "continues")))
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=3)
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        _, errors = finish(process)
    assert said.startswith(beginning)
    assert process.returncode == 1
    assert errors.count("error: stopped by") == 1
    assert "Traceback" not in errors
    assert psutil.wait_procs(family, timeout=60)[1] == []
    (last, *_) = sorted(clone.folder.glob(".cache/checkpoints/*/step-????????.safetensors"), reverse=True)
    return int(last.stem.removeprefix("step-"))


@pytest.mark.long
def test_two_processes_stop_together_and_go_on(clone):
    clone.environment["MENDLINE_PROCESSES"] = "2"
    for key, value in {"train.steps": 100_000, "train.warmup": 90_000, "train.checkpoint_every": 100_000}.items():
        clone.set(key, value)
    step = stopped_at(clone, "starts at step 0 of 100000")
    assert step > 0
    assert stopped_at(clone, f"continues at step {step} of 100000") > step
