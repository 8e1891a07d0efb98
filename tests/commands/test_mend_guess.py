"""What is guessed is shown, and goes when that is agreed to: an object at a point, and damage that is much."""

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.clone import ROOT

PHOTO = np.full((120, 160, 3), (60, 140, 70), np.uint8)
PHOTO[40:80, 60:100] = (200, 40, 30)


@pytest.fixture
def folder(tmp_path) -> Path:
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    return tmp_path


POINT = ("--remove", "80,60")


def mend(folder: Path, *options: str, guess: tuple[str, ...] = POINT, answer: str | None = None) -> tuple[int, str]:
    """Exit code and stderr of `mend photo.png`; in a terminal if there is an answer to give."""
    command = [sys.executable, "-m", "pipeline.commands.mend", "photo.png", *guess, *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    if answer is None:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stderr=theirs) as process:
        os.close(theirs)
        patience = threading.Timer(60, process.kill)
        patience.start()
        said = ""
        while "[y/N]" not in said:
            said += os.read(ours, 1000).decode()
        shown = Path(said.splitlines()[-1].split(": ")[0])
        proposal = np.asarray(Image.open(shown))
        assert (proposal[45:75, 65:95] == (255, 0, 255)).all()
        assert guess != POINT or np.array_equal(proposal[:20], PHOTO[:20])
        os.write(ours, f"{answer}\n".encode())
        said = rest(ours)
        patience.cancel()
    os.close(ours)
    assert not shown.exists()
    return process.returncode, said


def rest(terminal: int) -> str:
    """What is said until the other end is closed."""
    said = ""
    while True:
        try:
            said += os.read(terminal, 1000).decode()
        except OSError:  # closed
            return said


def test_without_a_terminal_it_is_refused_in_one_line_that_says_how_to_see_it(folder):
    code, said = mend(folder, "-o", "out.png")
    assert code == 1
    assert said == (
        "error: what is at --remove X,Y is a guess, often wrong: write the guess with --save-mask proposed.png, "
        "correct it, and use it as --mask proposed.png; --yes acts on it unseen\n"
    )
    assert sorted(path.name for path in folder.iterdir()) == ["photo.png"]


def test_the_guess_can_be_written_without_a_terminal(folder):
    assert mend(folder, "--save-mask", "proposed.png") == (0, "")
    proposed = np.asarray(Image.open(folder / "proposed.png")) > 0
    assert proposed[40:80, 60:100].all()
    assert proposed.sum() < 1.3 * 40 * 40


def test_yes_acts_at_once(folder):
    assert mend(folder, "-o", "out.png", "--yes") == (0, "")
    assert np.abs(np.asarray(Image.open(folder / "out.png"))[60, 80] - (60.0, 140, 70)).max() < 60


@pytest.mark.parametrize(("answer", "written"), [("y", True), ("n", False), ("", False)])
def test_in_a_terminal_it_is_shown_and_asked(folder, answer, written):
    code, said = mend(folder, "-o", "out.png", answer=answer)
    assert (code == 0) == written == (folder / "out.png").exists()
    assert ("photo.png: not restored; write the guess with --save-mask" in said) == (not written)


@pytest.mark.parametrize("answer", ["y", "n"])
def test_damage_that_is_more_than_a_third_of_the_picture_is_shown_and_asked(folder, green_detector, answer):
    much = ("--detect", str(green_detector), "--threshold", "0")
    code, said = mend(folder, "-o", "out.png", guess=much, answer=answer)
    assert (code == 0) == (answer == "y") == (folder / "out.png").exists()
    assert ("photo.png: not restored; write the guess with --save-mask" in said) == (answer == "n")
