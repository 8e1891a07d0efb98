"""`mend --model` of a translator: the look of a picture changes, everywhere or under a mask."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from pipeline.commands import mend
from pipeline.inference.translator import Translator
from pipeline.networks import weights
from pipeline.networks.registry import build_generator

PHOTO = data.coffee()[100:260, 150:350]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command in a folder with a photo, a mask and a model; its exit code and what it said."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PHOTO).save("photo.png", dpi=(300, 300))
    mask = np.zeros(PHOTO.shape[:2], np.uint8)
    mask[40:120, 50:150] = 255
    Image.fromarray(mask).save("mask.png")
    arguments = {"channels": 4, "blocks": 1, "scales": 2, "patch": 2, "decoder": "bilinear"}
    torch.manual_seed(0)
    network = build_generator("translator", block="plain", attention=False, **arguments)
    weights.save(tmp_path / "look", network, {"generator": {"design": "translator", **arguments}})

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mend", *arguments])
        code = 0
        try:
            mend.main()
        except SystemExit as exit_:
            code = 1
            sys.stderr.write(f"{exit_.code}\n" if isinstance(exit_.code, str) else "")
        return code, capsys.readouterr().err

    return run


def test_without_a_mask_all_of_it_changes(run):
    assert run("photo.png", "--model", "look", "-o", "out.png") == (0, "")
    with Image.open("out.png") as out:
        assert round(out.info["dpi"][0]) == 300
        changed = np.asarray(out)
    assert np.array_equal(changed, Translator.load("look")(PHOTO))
    assert np.abs(changed.astype(int) - PHOTO).mean() > 10


def test_strength_and_mask_go_together(run):
    assert run("photo.png", "--model", "look", "--mask", "mask.png", "--strength", "0.5", "-o", "out.png")[0] == 0
    changed, mask = np.asarray(Image.open("out.png")), np.asarray(Image.open("mask.png")) > 0
    assert np.array_equal(changed[~mask], PHOTO[~mask])
    assert np.array_equal(changed, Translator.load("look")(PHOTO, mask, 0.5))


@pytest.mark.parametrize("option", ["--opaque", "--fidelity=0.5", "--texture=restore"])
def test_what_restoring_alone_needs_is_refused(run, option):
    code, said = run("photo.png", "--model", "look", option, "-o", "out.png")
    assert code == 1 and said.count("\n") == 1
    assert f"look changes the look of a picture, and restores no hole; leave {option.split('=')[0]} out" in said


def test_strength_is_refused_where_nothing_is_translated(run):
    code, said = run("photo.png", "--mask", "mask.png", "--strength", "0.5", "-o", "out.png")
    assert code == 1 and "--strength needs a --model that changes the look" in said and said.count("\n") == 1
