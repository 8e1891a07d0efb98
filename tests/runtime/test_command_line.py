import os
import re
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from pipeline.commands.main import COMMANDS
from pipeline.lineage import STAGES
from pipeline.runtime import command_line
from tests.clone import ROOT

MAIN = "pipeline.commands.main"
LINES = [*([f"pipeline.{stage}"] for stage in (*STAGES, "serve")), [MAIN], *([MAIN, name] for name in COMMANDS)]
SLOW = "torch|mlflow|numpy|pandas|dvc|onnxruntime|PIL|pydantic|requests"  # to import


def run(line: list[str], *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", *line, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def heed_ctrl_c() -> None:
    """Shells let what runs in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def program(line: list[str]) -> str:
    return " ".join(["mendline", *line[1:]]) if line[0] == MAIN else f"python -m {line[0]}"


def test_these_are_all_that_can_be_run():
    there = [path for path in (ROOT / "pipeline").rglob("*.py") if '__name__ == "__main__"' in path.read_text()]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in there}
    assert names == {*(line[0] for line in LINES), "pipeline.commands.mend"}


@pytest.mark.parametrize("line", LINES, ids=program)
def test_help_comes_at_once_and_on_stdout(line):
    done = run(line, "--help", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: {program(line)} [-h]")
    assert re.search(r"\| +pipeline.runtime.command_line\n", done.stderr)
    assert not re.search(rf"\| +({SLOW})\n", done.stderr)
    assert all(line.startswith("import time:") for line in done.stderr.splitlines())


@pytest.mark.parametrize("line", LINES, ids=program)
def test_help_for_a_full_disk_is_one_line(line):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", *line, "--help"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        )
    assert done.returncode == 1
    assert done.stderr == "error: stdout: No space left on device; make room and run again\n"


@pytest.mark.parametrize("line", LINES, ids=program)
def test_what_is_not_known_is_refused_in_one_line(line):
    done = run(line, "--frobnicate", "a\nb", "c", "d")
    assert (done.returncode, done.stdout) == (1, "")
    (said,) = done.stderr.splitlines()
    assert re.fullmatch(r"error: (unrecognized arguments|argument COMMAND: invalid choice): .*; see .* --help", said)


@pytest.mark.parametrize("line", [["pipeline.train"], [MAIN, "save"]])
def test_what_is_not_known_is_told_in_few_words_however_long_it_is(line):
    assert len(run(line, "--" + "x" * 5000, "y" * 5000, "z" * 5000).stderr) < 400


def test_an_abbreviated_option_is_not_known():
    assert run(["pipeline.train"], "--vers").stderr.startswith("error: unrecognized arguments: --vers")


def test_the_version_is_that_of_the_package():
    done = run(["pipeline.train"], "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"mendline \d+\.\d+\.\d+\n", done.stdout)


def test_the_version_of_a_copy_that_is_not_installed_is_in_pyproject(monkeypatch):
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert f'version = "{command_line.version()}"\n' in command_line.PYPROJECT.read_text()


def test_ctrl_c_during_the_imports_is_one_line():
    started = subprocess.Popen(
        [sys.executable, "-v", "-m", "pipeline.train"],  # which names what it imports
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509  # it makes one system call
    )
    with started as process:
        for line in process.stderr:
            if line.startswith("import 'torch."):
                process.send_signal(signal.SIGINT)
                break
        said = [line for line in process.stderr if re.match("error|Traceback|KeyboardInterrupt", line)]
    assert said == ["error: stopped by SIGINT; run the same command again to go on\n"]
    assert process.returncode == 1
