import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands.main import COMMANDS
from tests.clone import ROOT


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.commands.main", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_help_lists_all_commands():
    said = run("--help").stdout
    assert all(re.search(rf"^ +{name} +{command.help[:20]}", said, re.MULTILINE) for name, command in COMMANDS.items())


def test_every_module_of_the_room_with_a_main_is_a_command():
    room = ROOT / "pipeline/commands"
    modules = {path.relative_to(room) for path in room.rglob("*.py") if "\ndef main(" in path.read_text()}
    programs = {Path("main.py"), Path("mend.py")}
    named = {Path(command.module.replace(".", "/")).with_suffix(".py"): name for name, command in COMMANDS.items()}
    assert named.keys() == modules - programs
    assert all(module.parts[0].startswith(name) for module, name in named.items())


def test_a_command_is_asked_for():
    assert run().stderr == "error: the following arguments are required: COMMAND; see mendline --help\n"


@pytest.mark.parametrize("program", ["pipeline.commands.main", "pipeline.commands.mend"])
@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_gets_its_completion(program, shell):
    command = [sys.executable, "-m", program, "--print-completion", shell]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    words = COMMANDS if program.endswith("main") else ["mask", "upscale"]
    assert all(word in done.stdout for word in words)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "../a", ".hidden"])
def test_a_model_is_saved_in_the_folder_of_models_only(name):
    done = run("save", name)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {name!r} is no name for a folder in models/; give one without / and not beginning with a dot\n"
    )


def test_a_model_to_export_that_is_not_there_is_named(tmp_path):
    done = run("export", str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {tmp_path}/none: no model (config.json is missing); "
        "name a folder that dvc repro train or mendline save has written\n"
    )


def test_a_port_that_is_no_number_is_one_line():
    done = run("app", GRADIO_SERVER_PORT="abc")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(r"error: Gradio: .*'abc'; check the environment variables GRADIO_\*", line)
