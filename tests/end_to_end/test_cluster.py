"""Corrupt on a Dask scheduler and workers that were started by themselves, as on several machines."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clone import ROOT, Clone, wait_until
from tests.end_to_end.test_resume import forget, lock, remove_half_written, stop

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.slow
MANY = {"download.sample.leaves": 400, "download.sample.size": 32, "corrupt.variants": 6}  # several shards
AS_CLI = "distributed.cli.dask_"


class Cluster:
    """A scheduler without workers, each a process group."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen] = []
        facts = folder / "scheduler.json"
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(facts)]
        self.scheduler = self._start("scheduler", *options)
        self.address = wait_until(lambda: facts.exists() and json.loads(facts.read_text() or "{}").get("address"))

    def add_worker(self, code: Path = ROOT, blocks: int | str = "unlimited") -> subprocess.Popen:
        """A worker that has joined; `code` is where it has the pipeline from. No file of its own has more `blocks`."""
        options = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder)]
        before = self.count_workers()
        worker = self._start("worker", self.address, *options, code=code, blocks=blocks)
        wait_until(lambda: self.count_workers() > before)
        return worker

    def count_workers(self) -> int:
        return self.ask(lambda client: len(client.scheduler_info(n_workers=-1)["workers"]))

    def list_tasks(self) -> list[str]:
        """Those that a worker has, begun or not."""
        return self.ask(lambda client: [key for keys in client.processing().values() for key in keys])

    def ask(self, question: Callable):
        with distributed.Client(self.address, set_as_default=False) as client:
            return question(client)

    def _start(self, what: str, *options: str, code: Path = ROOT, blocks: int | str = "unlimited") -> subprocess.Popen:
        search = os.pathsep.join([str(code), os.environ.get("PYTHONPATH", "")])
        with (self.folder / f"{len(self.processes)}-{what}.log").open("w") as log:
            self.processes.append(
                subprocess.Popen(
                    ["sh", "-c", f'ulimit -f {blocks}; exec "$0" "$@"', sys.executable, "-m", AS_CLI + what, *options],
                    cwd=self.folder,
                    env=os.environ | {"PYTHONPATH": search, "OMP_NUM_THREADS": "1"},
                    stdout=log,
                    stderr=log,
                )
            )
        return self.processes[-1]

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path) -> Iterator[Cluster]:
    started = Cluster(tmp_path)
    yield started
    started.end()


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Clone:
    """A clone whose pairs this machine's own processes have made. Not to be changed."""
    made = Clone(tmp_path_factory.mktemp("local") / "clone")
    for key, value in MANY.items():
        made.set(key, value)
    made.run("dvc", "repro", "corrupt")
    return made


@pytest.fixture
def again(local, cluster, tmp_path) -> Clone:
    """The same, before corrupt, on the cluster."""
    shutil.copytree(local.folder, tmp_path / "clone", symlinks=True)
    copied = Clone(tmp_path / "clone")
    forget(copied, "corrupt")
    copied.environment["MENDLINE_SCHEDULER"] = cluster.address
    return copied


def repro(clone: Clone) -> subprocess.Popen:
    return clone.start("dvc", "repro", "--single-item", "corrupt")


def shards(clone: Clone) -> list[Path]:
    return list((clone.folder / ".cache/corrupt").glob("*/*.feather"))


def test_two_workers_make_the_lock_that_one_machine_makes(again, cluster, local):
    for _ in range(2):
        cluster.add_worker()
    again.run("dvc", "repro", "--single-item", "corrupt")
    assert lock(again) == lock(local)


def test_the_lock_is_the_same_when_a_worker_is_killed(again, cluster, local):
    cluster.add_worker()
    victim = cluster.add_worker()
    with repro(again) as process:
        wait_until(lambda: shards(again))
        victim.kill()
        output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, output + errors
    assert cluster.count_workers() == 1
    assert lock(again) == lock(local)


def test_no_task_outlives_a_stage_that_is_killed_and_the_next_goes_on(again, cluster, local):
    cluster.add_worker()
    with repro(again) as process:
        wait_until(lambda: shards(again))
        assert cluster.list_tasks()
        stop(process, signal.SIGKILL, "all")
    wait_until(lambda: not cluster.list_tasks())
    left = len(shards(again))
    assert 0 < left < len(list((local.folder / "data/pairs").iterdir()))
    remove_half_written(again)
    again.run("dvc", "repro", "--single-item", "corrupt")
    assert lock(again) == lock(local)


def test_a_worker_with_other_code_is_refused_by_name(again, cluster, tmp_path):
    shutil.copytree(ROOT / "pipeline", tmp_path / "other/pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "other/pipeline/corruptions/dust.py").open("a") as module:
        module.write("\n")
    cluster.add_worker(tmp_path / "other")
    said = refusal(again)
    assert re.match(r"error: worker tcp://127.0.0.1:\d+: has \w+ of the code of pipeline, and the stage", said)


def test_a_worker_with_a_full_disk_is_named_and_another_goes_on(again, cluster, local):
    full = cluster.add_worker(blocks=1000)
    assert re.match(r"error: worker tcp://127.0.0.1:\d+: .*File too large", refusal(again))
    full.kill()
    cluster.add_worker()
    again.run("dvc", "repro", "--single-item", "corrupt")
    assert lock(again) == lock(local)


def test_work_goes_on_when_all_workers_have_died_and_one_joins(again, cluster, local):
    only = cluster.add_worker()
    with repro(again) as process:
        wait_until(lambda: shards(again))
        only.kill()
        said = next(line for line in process.stderr if "workers are gone" in line)
        cluster.add_worker()
        process.communicate(timeout=200)
    assert said.startswith(f"note: {cluster.address}: its workers are gone; start dask worker")
    assert lock(again) == lock(local)


def test_a_scheduler_that_ends_is_one_line(again, cluster):
    cluster.add_worker()
    with repro(again) as process:
        wait_until(lambda: shards(again))
        cluster.scheduler.kill()
        _, errors = process.communicate(timeout=200)
    assert last_error(errors).startswith(f"error: {cluster.address}: the scheduler is gone; start it again")


def test_no_scheduler_is_one_line(again):
    again.environment["MENDLINE_SCHEDULER"] = "10.0.0.1"
    assert "expected an address such as tcp://host:8786" in refusal(again)


def refusal(clone: Clone) -> str:
    with repro(clone) as process:
        _, errors = process.communicate(timeout=200)
    assert process.returncode != 0
    assert not (clone.folder / "data/pairs").exists()
    return last_error(errors)


def last_error(errors: str) -> str:
    assert "Traceback" not in errors
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    return line
