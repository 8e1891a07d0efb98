import subprocess
import sys
from operator import neg

import pytest

from pipeline.runtime import parallel
from pipeline.runtime.errors import UserError


@pytest.mark.parametrize("workers", ["1", "3"])
def test_results_come_in_the_order_of_the_items(monkeypatch, workers):
    monkeypatch.setenv("MENDLINE_WORKERS", workers)
    numbers = range(3 * parallel.AHEAD)
    assert list(parallel.in_processes(neg, numbers)) == [-number for number in numbers]
    assert list(parallel.in_threads(neg, numbers, parallel.workers())) == [-number for number in numbers]


def test_an_error_in_a_process_arrives_as_it_is(monkeypatch):
    monkeypatch.setenv("MENDLINE_WORKERS", "1")
    with pytest.raises(ZeroDivisionError):
        list(parallel.in_processes((1).__truediv__, [1, 0]))


@pytest.mark.parametrize(
    "workers", ["0", "-1", "two", "1.5", " ", "1025", "9" * 5000, "x" * 5000, "²", "1\n", "\udcff"]
)
def test_a_wrong_number_of_workers_is_refused(monkeypatch, workers):
    monkeypatch.setenv("MENDLINE_WORKERS", workers)
    with pytest.raises(
        UserError, match=r"^MENDLINE_WORKERS is .*; expected a number of processes, 1 to 1024$"
    ) as error:
        parallel.workers()
    assert len(str(error.value)) < 200


def test_an_empty_number_of_workers_is_none(monkeypatch):
    monkeypatch.delenv("MENDLINE_WORKERS", raising=False)
    cores = parallel.workers()
    monkeypatch.setenv("MENDLINE_WORKERS", "")
    assert parallel.workers() == cores > 0


def test_processes_end_with_a_parent_that_is_killed():
    script = """
import os, signal
from pipeline.runtime import parallel
for _ in parallel.in_processes(abs, range(10)):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        # a worker that lived on would hold the pipe open
        parent.communicate(timeout=30)
