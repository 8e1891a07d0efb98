"""`mend --detect`: the damage is found, and what is sure is repaired."""

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from pipeline.commands import mend
from pipeline.inference import model_files
from pipeline.inference.detector import Detector, mark
from tests.conftest import GREEN

STROKE = np.zeros((160, 200), np.uint8)
cv2.line(STROKE, (10, 20), (190, 120), 1, 4)
SOUND = data.coffee()[100:260, 150:350]
DAMAGED = np.where(STROKE[..., None] > 0, np.uint8(GREEN), SOUND)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working folder, with a damaged picture, and one in which nothing can be found."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(DAMAGED).save("scan.tif")
    Image.new("RGB", (200, 160), (90, 60, 40)).save("sound.jpg", quality=70)
    return tmp_path


@pytest.fixture
def shipped(folder, green_detector, monkeypatch) -> Path:
    """The folder of the models that ship, among them a detector."""
    ships = folder / "ships"
    ships.mkdir()
    (ships / "restore").symlink_to(model_files.MODELS / "restore")
    (ships / "detect").symlink_to(green_detector)
    monkeypatch.setattr(model_files, "MODELS", ships)
    return ships


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Runs the command, nobody at the terminal; its exit code and what it said on stderr."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mend", *arguments])
        code = 0
        with Path(os.devnull).open() as nobody:
            monkeypatch.setattr(sys, "stdin", nobody)
            try:
                mend.main()
            except SystemExit as exit_:
                code = 1
                sys.stderr.write(f"{exit_.code}\n" if isinstance(exit_.code, str) else "")
        return code, capsys.readouterr().err

    return run


def pixels(name: str) -> np.ndarray:
    return np.asarray(Image.open(name))


def test_without_a_name_the_detector_that_ships_finds_what_is_repaired(run, shipped):
    code, said = run("scan.tif", "--detect", "-o", "out.png", "--save-mask", "mask.png")
    assert (code, said.count("error"), said.count("warning")) == (0, 0, 0)
    marked, restored = pixels("mask.png") > 0, pixels("out.png")
    assert marked[STROKE > 0].mean() > 0.9
    assert marked.mean() < 3 * STROKE.mean()
    assert np.array_equal(restored[~marked], DAMAGED[~marked])
    off = [np.abs(picture[STROKE > 0] - SOUND[STROKE > 0].astype(float)).mean() for picture in (DAMAGED, restored)]
    assert off[1] < off[0] / 4


def test_a_higher_threshold_marks_less(run, shipped, green_detector):
    probability, shares = Detector.load(green_detector)(DAMAGED), []
    for threshold in ("0.02", "0.5", "0.99"):
        assert run("scan.tif", "--detect", "--threshold", threshold, "--save-mask", "mask.png")[0] == 0
        marked, _ = mark(probability, float(threshold))
        assert np.array_equal(pixels("mask.png") > 0, marked)
        shares.append(marked.mean())
    assert shares[0] > shares[1] > shares[2] > 0
    assert run("scan.tif", "--detect", "--save-mask", "default.png") == run(
        "scan.tif", "--detect", "--threshold", "0.95", "--save-mask", "sure.png"
    )
    assert np.array_equal(pixels("default.png"), pixels("sure.png"))


def test_what_is_doubtful_stays_as_it_is_and_is_counted(run, shipped, green_detector):
    faint = cv2.line(np.zeros_like(STROKE), (20, 120), (80, 140), 1, 4) > 0
    picture = np.where(faint[..., None], 0.6 * DAMAGED + 0.4 * np.array(GREEN), DAMAGED).astype(np.uint8)
    Image.fromarray(picture).save("faint.png")
    threshold = Detector.load(green_detector)(picture)[faint].max() + 0.001
    options = ["faint.png", "--detect", "-o", "out.png"]
    code, said = run(*options, "--threshold", f"{threshold}")
    assert (code, said) == (
        0,
        "note: faint.png: doubtful regions that stay as they are: 1; --save-mask shows what is marked, --threshold "
        "decides\n",
    )
    assert np.array_equal(pixels("out.png")[faint], picture[faint])
    assert run(*options) == (0, "")
    assert not np.array_equal(pixels("out.png")[faint], picture[faint])


def test_in_a_folder_a_sound_photo_stays_as_it_is(run, shipped, folder):
    (folder / "in").mkdir()
    for name in ("scan.tif", "sound.jpg"):
        (folder / name).rename(folder / "in" / name)
    code, said = run("in", "--detect", "-o", "out", "--save-mask", "masks")
    assert code == 0
    assert "note: in/sound.jpg: no damage is found, so it stays as it is; paint over it, and give that as" in said
    assert (folder / "in/sound.jpg").read_bytes() == (folder / "out/sound.jpg").read_bytes()
    assert not pixels("masks/sound.png").any()
    assert not np.array_equal(pixels("out/scan.tif"), DAMAGED)
    assert run("in/sound.jpg", "--detect", "-o", "sound.png")[0] == 0
    assert np.array_equal(pixels("sound.png"), pixels("in/sound.jpg"))


def test_where_much_is_marked_nothing_is_restored_unseen(run, shipped, folder):
    much = ["scan.tif", "--detect", "--threshold", "0"]
    code, said = run(*much, "-o", "out.png")
    assert code == 1
    assert said.startswith("error: 100% of scan.tif is marked as damage, and nobody can be asked: write the guess with")
    assert not (folder / "out.png").exists()
    assert run(*much, "--save-mask", "mask.png")[0] == 0
    assert run(*much, "-o", "out.png", "--yes")[0] == 0
    assert not np.array_equal(pixels("out.png"), DAMAGED)


def test_where_no_detector_ships_one_line_says_so(run, shipped):
    (shipped / "detect").unlink()
    code, said = run("scan.tif", "--detect", "-o", "out.png")
    assert code == 1
    assert f"{shipped / 'detect'}: not there, no detector ships with this copy; train one" in said
    assert len(said.splitlines()) == 1
    assert run("scan.tif", "--detect", "scratches", "--save-mask", "mask.png")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--detect", "scan.tif", "-o", "out.png"], "argument --detect: 'scan.tif' is no model; name the pictures"),
        (["--detect", "none.PNG", "scan.tif", "-o", "out.png"], "argument --detect: 'none.PNG' is no model; name the"),
        (["--detect", "in", "-o", "out"], "argument --detect: 'in' is no model; name the pictures first"),
        (
            ["--detect", "-", "-o", "-"],
            "argument --detect: '-' is no model; name the pictures first, and --detect after",
        ),
        (["scan.tif", "--detect", "restore", "-o", "out.png"], "restore: finds no damage"),
        (["scan.tif", "--detect", "--threshold", "2", "-o", "out.png"], "--threshold: '2' is no number from 0 to 1"),
        (["scan.tif", "--threshold", "0.4", "-o", "out.png"], "--threshold needs --detect with a model"),
        (["scan.tif", "--detect", "scratches", "--threshold", "0.4", "-o", "out.png"], "--threshold needs --detect"),
    ],
)
def test_each_mistake_is_one_line(arguments, said, run, folder):
    (folder / "in").mkdir()
    code, lines = run(*arguments)
    assert code == 1
    assert said in lines
    assert len(lines.splitlines()) == 1
    assert not (folder / "out.png").exists()


def test_pictures_may_stand_behind_a_named_detector_even_where_a_folder_is_named_so(run, folder):
    (folder / "scratches").mkdir()
    assert run("--detect", "scratches", "scan.tif", "--save-mask", "mask.png")[0] == 0
