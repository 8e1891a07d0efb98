import os
import re
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from pipeline.lineage import STAGES
from pipeline.runtime import command_line
from tests.clone import ROOT

COMMANDS = [*STAGES, "app", "compare", "export", "find", "keep", "profile", "sync"]
SLOW = "torch|mlflow|numpy|pandas|dvc|onnxruntime|PIL|pydantic|requests"  # to import


def run(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", f"pipeline.{name}", *arguments],
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


def test_these_are_all_commands():
    there = {path.stem for path in (ROOT / "pipeline").glob("*.py") if '__name__ == "__main__"' in path.read_text()}
    assert there == {*COMMANDS, "mend"}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_comes_at_once_and_on_stdout(name):
    done = run(name, "--help", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: python -m pipeline.{name} [-h] [--version]")
    assert re.search(r"\| +pipeline.runtime.command_line\n", done.stderr)
    assert not re.search(rf"\| +({SLOW})\n", done.stderr)
    assert all(line.startswith("import time:") for line in done.stderr.splitlines())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_for_a_full_disk_is_one_line(name):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", f"pipeline.{name}", "--help"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "error: stdout: No space left on device; make room and run again\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_not_known_is_refused_in_one_line(name):
    done = run(name, "--frobnicate", "a\nb", "c", "d")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(rf"error: unrecognized arguments: .*; see python -m pipeline.{name} --help", line)


@pytest.mark.parametrize("name", ["train", "keep"])
def test_what_is_not_known_is_told_in_few_words_however_long_it_is(name):
    assert len(run(name, "--" + "x" * 5000, "y" * 5000, "z" * 5000).stderr) < 400


def test_an_abbreviated_option_is_not_known():
    assert run("train", "--vers").stderr.startswith("error: unrecognized arguments: --vers")


def test_the_version_is_that_of_the_package():
    done = run("train", "--version")
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


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "../a", ".hidden"])
def test_a_model_is_kept_in_the_folder_of_models_only(name):
    done = run("keep", name)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {name!r} is no name for a folder in models/; give one without / and not beginning with a dot\n"
    )


def test_a_model_to_export_that_is_not_there_is_named(tmp_path):
    done = run("export", str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {tmp_path}/none: no model (config.json is missing); "
        "name a folder that dvc repro train or pipeline.commands.save has written\n"
    )


def test_a_port_that_is_no_number_is_one_line():
    done = run("app", GRADIO_SERVER_PORT="abc")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(r"error: Gradio: .*'abc'; check the environment variables GRADIO_\*", line)
