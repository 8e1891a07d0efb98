import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from pipeline.runtime.errors import UserError
from pipeline.team import processes
from pipeline.team.processes import Program
from tests.clone import ROOT, wait_until

FOREVER = ["tail", "-f", "/dev/null"]
PARENT = """
import sys, threading
from pathlib import Path
from pipeline.team.processes import Program, run
program = Program("tail", ["tail", "-f", "/dev/null"], Path(sys.argv[1]), lambda: True)
run([program], lambda: print(program.process.pid, flush=True), threading.Event())
"""


@pytest.fixture
def running(tmp_path):
    """Starts programs in a thread; ends them, and raises what that raised."""
    stopped, failed = threading.Event(), []

    def work(programs, begun):
        try:
            processes.run(programs, begun.set, stopped)
        except UserError as error:
            failed.append(error)
            begun.set()

    threads = []

    def running(*programs):
        begun = threading.Event()
        threads.append(threading.Thread(target=work, args=(list(programs), begun)))
        threads[0].start()
        assert begun.wait(60)
        return failed

    yield running
    stopped.set()
    threads[0].join(60)
    assert not threads[0].is_alive()


def test_a_program_that_is_killed_is_started_again_and_all_end_together(running, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(processes, "SHORT", 0.0)
    first, second = (Program(name, FOREVER, tmp_path / name, lambda: True) for name in ("one", "two"))
    assert not running(first, second)
    killed, other = first.process.pid, second.process.pid
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: first.process.pid != killed and psutil.pid_exists(first.process.pid))
    assert second.process.pid == other
    assert "warning: one has ended with -9; it is started again" in capfd.readouterr().err


def test_a_program_that_ends_at_once_is_not_started_for_ever(running, tmp_path):
    begun = Program("brief", ["sh", "-c", "echo no such table; exit 3"], tmp_path / "log", lambda: False)
    (error,) = running(begun)
    assert str(error) == f"brief does not run: no such table; all of it is in {tmp_path / 'log'}"


def test_it_gets_its_own_environment_and_none_of_the_teams(tmp_path, monkeypatch):
    monkeypatch.setenv("TEAM_ADMIN_PASSWORD", "s3cret")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    program = Program("env", ["env"], tmp_path / "log", lambda: True, {"OWN": "1"})
    program.start()
    program.process.wait(60)
    said = (tmp_path / "log").read_text().splitlines()
    assert "OWN=1" in said
    assert not [line for line in said if line.startswith(("TEAM_", "MLFLOW_"))]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux tells children that their parent has died")
def test_a_program_dies_with_its_parent_however_that_dies(tmp_path):
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(60)
