import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WAITING = "import threading; from pipeline.runtime import stop; stop.listen(); print('ready', flush=True); "
FOREVER = WAITING + "threading.Event().wait()"
SAFE_POINTS = """
import signal
with stop.at_safe_points():
    signal.raise_signal(signal.SIGTERM)
    print("at a safe point", flush=True)
    stop.check()
    print("too far")
"""
AS_DVC_RUNS_IT = """
import os, subprocess, sys
subprocess.run(sys.argv[1:], env=os.environ | {"DVC_STAGE": "train"})
"""

AS_TORCHRUN_RUNS_IT = """
import os, subprocess, sys
subprocess.run(sys.argv[1:], env=os.environ | {"TORCHELASTIC_RUN_ID": "7"}, start_new_session=True)
"""


def started(*command, **options):
    """A process that has said that it listens."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def heed(number):
    return lambda: signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_stage_with_one_line_and_a_failure(name):
    number = getattr(signal, name)
    with started(sys.executable, "-c", FOREVER, preexec_fn=heed(number)) as stage:
        stage.send_signal(number)
        assert stage.communicate(timeout=20) == ("", f"error: stopped by {name}; run the same command again to go on\n")
    assert stage.returncode == 1


def test_a_stage_can_ask_to_be_stopped_at_safe_points_only():
    script = [sys.executable, "-c", WAITING + "\n" + SAFE_POINTS]
    stage = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert stage.stdout == "ready\nat a safe point\n"
    assert stage.stderr == "error: stopped by SIGTERM; run the same command again to go on\n"
    assert stage.returncode == 1


def test_work_that_does_not_end_is_cut_off():
    stubborn = "stop.GRACE = 0.1\ntry: threading.Event().wait()\nfinally: threading.Event().wait()"
    with started(sys.executable, "-c", WAITING + "\n" + stubborn) as stage:
        stage.send_signal(signal.SIGTERM)
        assert stage.communicate(timeout=20)[1].startswith("error: stopped by SIGTERM")
    assert stage.returncode == 1


def test_under_nohup_a_closed_terminal_does_not_matter():
    with started("nohup", sys.executable, "-c", FOREVER) as stage:
        stage.send_signal(signal.SIGHUP)
        stage.send_signal(signal.SIGTERM)
        assert "stopped by SIGTERM" in stage.communicate(timeout=20)[1]


@pytest.mark.parametrize("shell", [(), ("sh", "-c", '"$0" "$@"; exit $?')], ids=["directly", "by a shell"])
def test_a_stage_ends_when_the_dvc_that_runs_it_is_killed(shell):
    with started(sys.executable, "-c", AS_DVC_RUNS_IT, *shell, sys.executable, "-c", FOREVER) as dvc:
        dvc.kill()
        # the pipes close when the stage has ended
        assert (
            dvc.communicate(timeout=20)[1] == "error: stopped by the end of dvc; run the same command again to go on\n"
        )


def test_a_stage_ends_when_the_torchrun_that_runs_it_is_killed():
    with started(sys.executable, "-c", AS_TORCHRUN_RUNS_IT, sys.executable, "-c", FOREVER) as torchrun:
        torchrun.kill()
        said = torchrun.communicate(timeout=20)[1]
    assert said == "error: stopped by the end of torchrun; run the same command again to go on\n"
