import subprocess
import sys
from operator import neg

import pytest

from pipeline.runtime import parallel


@pytest.mark.parametrize("workers", ["1", "3"])
def test_results_come_in_the_order_of_the_items(monkeypatch, workers):
    monkeypatch.setenv("MENDLINE_WORKERS", workers)
    numbers = range(3 * parallel.AHEAD)
    assert list(parallel.in_processes(neg, numbers)) == [-number for number in numbers]
    assert list(parallel.in_threads(neg, numbers, int(workers))) == [-number for number in numbers]


def test_an_error_in_a_process_arrives_as_it_is(monkeypatch):
    monkeypatch.setenv("MENDLINE_WORKERS", "1")
    with pytest.raises(ZeroDivisionError):
        list(parallel.in_processes((1).__truediv__, [1, 0]))


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
