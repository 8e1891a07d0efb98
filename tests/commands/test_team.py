"""What the commands of a team say where there is no server, no terminal or no name."""

import os
import subprocess
import sys

import pytest

from tests.clone import ROOT


def said(folder, *arguments, **environment) -> str:
    """The one line with which a command ends."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "TEAM_", "DVC_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.commands.main", *arguments],
        cwd=folder,
        env=inherited | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("name", ["", "Ann", "a b", "a;b", "-x" * 40, "admin", "ann\n", "../ann"])
def test_a_name_that_is_none_for_a_member_is_refused(name, tmp_path):
    assert "no name for a member; expected small letters, digits, . _ and -" in said(tmp_path, "member", "--", name)


@pytest.mark.parametrize("command", [["member", "ann"], ["backup", "there"], ["restore", "there"]])
def test_what_is_for_the_servers_machine_says_so_elsewhere(command, tmp_path):
    assert said(tmp_path, *command).startswith(
        "error: .env: describes no server of a team ('TEAM_URL'); run this where"
    )
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_the_password_is_not_asked_for(tmp_path):
    line = said(tmp_path, "join", "http://127.0.0.1:9", "--name", "ann")
    assert line == "error: no terminal to ask in; give NAME=..., and the password in MLFLOW_TRACKING_PASSWORD"


def test_a_server_that_is_down_is_one_line_and_nothing_is_noted(tmp_path):
    line = said(tmp_path, "join", "http://127.0.0.1:9", "--name", "ann", MLFLOW_TRACKING_PASSWORD="s3cret")
    assert line == "error: MLflow at http://127.0.0.1:9: no connection; start it, or check MLFLOW_TRACKING_URI"
    assert list(tmp_path.iterdir()) == []
