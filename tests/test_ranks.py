import sys

import pandas as pd
import pytest
from safetensors.torch import load_file

from pipeline.gan import ranks


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


def test_two_processes_train_what_one_trains(clone, alone):
    clone.environment["MENDLINE_PROCESSES"] = "2"
    clone.run("dvc", "repro", "-f", "-s", "train")
    check_like(clone, alone)


def test_torchrun_starts_them_too(clone, alone):
    del clone.environment["MENDLINE_PROCESSES"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    clone.run(*torchrun, "-m", "pipeline.train")
    check_like(clone, alone)


def test_a_batch_that_cannot_be_shared_out_is_one_line(clone):
    with clone.start("env", "MENDLINE_PROCESSES=3", sys.executable, "-m", "pipeline.train") as process:
        _, errors = process.communicate()
    assert process.returncode == 1
    assert "error: train.batch is 2; expected a multiple of 3, the number of processes" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", ["0", "two", "-1"])
def test_a_wrong_number_of_processes_is_refused(monkeypatch, number):
    monkeypatch.setenv("MENDLINE_PROCESSES", number)
    with pytest.raises(ranks.UserError, match="MENDLINE_PROCESSES is"):
        ranks.asked_for()
