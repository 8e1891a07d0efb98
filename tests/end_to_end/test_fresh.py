"""Training on pairs that are made as it goes."""

import signal

import pytest

from tests.clone import Clone, wait_until
from tests.end_to_end.test_resume import checkpoints, lock, stop


@pytest.mark.long
def test_a_training_on_fresh_pairs_that_is_killed_ends_in_the_same_bytes(tmp_path):
    clone = Clone(tmp_path / "clone")
    for key, value in {"corrupt.variants": 0, "train.steps": 24, "train.warmup": 6}.items():
        clone.set(key, value)
    clone.run("dvc", "repro", "train")
    assert not list((clone.folder / "data/pairs").glob("train-*"))
    whole, before = lock(clone), checkpoints(clone)
    with clone.start("dvc", "repro", "--force", "--single-item", "train") as process:
        wait_until(lambda: checkpoints(clone) - before or process.poll() is not None)
        stop(process, signal.SIGKILL, "stage")
    clone.environment["MENDLINE_WORKERS"] = "1"
    assert "continues at step" in clone.run("dvc", "repro", "--force", "--single-item", "train")
    assert lock(clone) == whole
