import os
import subprocess
import sys

import pytest

from pipeline.runtime import environment
from pipeline.runtime.errors import UserError
from tests.clone import ROOT


@pytest.mark.parametrize(
    "workers", ["0", "-1", "two", "1.5", " ", "1025", "9" * 5000, "x" * 5000, "²", "1\n", "\udcff"]
)
def test_a_wrong_number_of_workers_is_refused(monkeypatch, workers):
    monkeypatch.setenv("MENDLINE_WORKERS", workers)
    with pytest.raises(
        UserError, match=r"^MENDLINE_WORKERS is .*; expected a number of processes, 1 to 1024$"
    ) as error:
        environment.workers()
    assert len(str(error.value)) < 200


def test_an_empty_number_of_workers_is_none(monkeypatch):
    monkeypatch.delenv("MENDLINE_WORKERS", raising=False)
    cores = environment.workers()
    monkeypatch.setenv("MENDLINE_WORKERS", "")
    assert environment.workers() == cores > 0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where `.env` lies; what is set in a test is not set afterwards."""
    for name in ("MENDLINE_DEVICE", "MENDLINE_WORKERS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


def test_what_env_has_is_set_unless_the_shell_has_set_it(folder, monkeypatch):
    monkeypatch.setenv("MENDLINE_WORKERS", "3")
    (folder / ".env").write_text("MENDLINE_WORKERS=7\nMENDLINE_DEVICE='cpu'\nPATH=/elsewhere\n")
    environment.read_env_file()
    assert (environment.workers(), environment.device()) == (3, "cpu")
    assert os.environ["PATH"] != "/elsewhere"


@pytest.mark.parametrize("value", ["plain", "a b#c", "it's $HOME ${HOME}", 'a"b\\n', "ä€"])
def test_what_is_written_is_read_again(value, folder, monkeypatch):
    environment.write_env_file({"MENDLINE_DEVICE": value})
    monkeypatch.delenv("MENDLINE_DEVICE")
    environment.read_env_file()
    assert environment.device() == value


def test_a_value_with_a_line_end_is_refused_before_anything_is_written(folder):
    with pytest.raises(UserError, match="^MENDLINE_DEVICE: has a line end"):
        environment.write_env_file({"MENDLINE_DEVICE": "a\nPATH=b"})
    assert not (folder / ".env").exists()


def test_a_command_reads_env_in_its_folder_and_says_what_is_wrong_in_one_line(folder):
    command = [sys.executable, "-m", "pipeline.commands.main", "sync"]
    (folder / ".env").write_bytes(b"MENDLINE_WORKERS=\xff")
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"error: {folder}/.env: not text; save it as UTF-8, or remove it and make join again\n"
