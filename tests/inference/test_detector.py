import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data
from torch import nn

from mendline import Detector
from pipeline.commands import export
from pipeline.inference import model_files
from pipeline.inference.detector import DOUBTFUL, mark
from pipeline.networks import weights
from pipeline.networks.registry import build_generator
from pipeline.runtime.errors import UserError
from tests.clone import ROOT

TINY = {"channels": 4, "blocks": 1, "scales": 2, "patch": 2, "block": "plain", "attention": False}
PHOTO = np.ascontiguousarray(data.chelsea()[:150, 100:270])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    detector = build_generator("detector", **TINY, decoder="bilinear")
    for parameter in detector.parameters():
        nn.init.normal_(parameter, std=0.2)
    path = tmp_path_factory.mktemp("models") / "detector"
    weights.save(path, detector, {"generator": {"design": "detector", **TINY, "decoder": "bilinear"}})
    return path


def of_white(image: np.ndarray) -> np.ndarray:
    return (image.min(axis=-1) > 0.9).astype(np.float32)


def test_it_gives_the_probability_of_each_pixel_whatever_the_kind_of_picture(folder):
    detector = Detector.load(folder)
    found = detector(PHOTO)
    assert found.shape == PHOTO.shape[:2] and found.dtype == np.float32
    assert 0 <= found.min() < found.max() <= 1
    for same in (Image.fromarray(PHOTO), PHOTO.astype(np.uint16) * 257, PHOTO.astype(np.float32) / 255):
        assert np.allclose(detector(same), found, atol=1e-5)
    grey = PHOTO[..., 1]
    assert np.array_equal(detector(grey), detector(np.repeat(grey[..., None], 3, axis=-1)))


def test_a_picture_that_exif_turns_is_looked_at_upright(folder):
    turned = Image.fromarray(np.rot90(PHOTO))
    turned.getexif()[0x0112] = 6
    assert Detector.load(folder)(turned).shape == PHOTO.shape[:2]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_any_size_is_looked_at(height, width):
    image = np.zeros((height, width, 3), np.uint8)
    image[height // 2, width // 2] = 255
    assert Detector(of_white)(image).sum() == 1


def test_tiles_show_no_seam(folder):
    image = np.random.default_rng(0).integers(256, size=(1000, 30, 3)).astype(np.uint8)
    found = Detector.load(folder)._in_tiles(image, np.ones(image.shape[:2], bool))
    whole = Detector.load(folder).find(image.astype(np.float32) / 255)
    assert np.allclose(found, whole, atol=1e-5)


def test_what_is_too_wide_for_one_scale_is_found_at_half_of_it():
    def thin_alone(image: np.ndarray) -> np.ndarray:
        white = of_white(image)
        return white * (white.sum(axis=0, keepdims=True) < 9)

    image = np.zeros((300, 300, 3), np.uint8)
    image[100:112] = 255
    found = Detector(thin_alone)(image) > 0.5
    assert found[101:111].all() and not found[:97].any() and not found[115:].any()
    small = np.zeros((200, 200, 3), np.uint8)
    small[100:112] = 255
    assert not Detector(thin_alone)(small).any()


def test_what_is_sure_somewhere_is_marked_as_a_whole_and_what_is_doubtful_all_over_is_counted():
    probability = np.full((20, 30), 0.1, np.float32)
    probability[2:5, 2:12] = 0.3
    probability[4, 11] = probability[15, 20] = 0.6
    probability[5, 12] = 0.3  # touches a corner
    probability[10:14, 2:5] = probability[10:14, 7:9] = 0.4
    whole = np.zeros((20, 30), bool)
    whole[2:5, 2:12] = whole[5, 12] = whole[15, 20] = True
    found, doubtful = mark(probability, 0.5)
    assert np.array_equal(found, whole) and doubtful == 2
    found, doubtful = mark(probability, 0.35)
    assert np.array_equal(found, probability > 0.35 * DOUBTFUL) and doubtful == 0
    assert mark(probability, 0.7)[1] == 4 and not mark(probability, 0.7)[0].any()
    assert mark(probability, 0)[0].all() and not mark(probability, 1)[0].any()


def test_without_a_name_the_one_that_ships_is_loaded(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(model_files, "MODELS", tmp_path)
    with pytest.raises(UserError, match="detect: not there, no detector ships with this copy; train one"):
        Detector.load()
    (tmp_path / "detect").symlink_to(folder)
    assert np.array_equal(Detector.load()(PHOTO), Detector.load(folder)(PHOTO))


def test_onnx_finds_what_pytorch_finds(folder, capsys):
    export.main(folder)
    assert "differs from PyTorch by" in capsys.readouterr().out
    onnx = Detector.load(folder / "generator.onnx")
    assert np.allclose(onnx(PHOTO), Detector.load(folder)(PHOTO), atol=1e-4)
    assert onnx(PHOTO[:3, :5]).shape == (3, 5)


@pytest.mark.parametrize(
    ("picture", "error", "line"),
    [
        (np.full((20, 20, 3), np.nan, np.float32), ValueError, "NaN at row 0, column 0"),
        (np.full((20, 20, 3), 255, np.float32), ValueError, "expected"),
        (np.zeros((2, 20, 20, 3), np.uint8), ValueError, "expected one, HW or HWC"),
        ("photo.png", TypeError, "a picture of type str"),
    ],
    ids=["NaN", "255", "batch", "path"],
)
def test_what_is_no_picture_is_refused(picture, error, line):
    with pytest.raises(error, match=line):
        Detector(of_white)(picture)


def test_weights_that_are_too_large_are_named():
    broken = Detector(lambda image: np.full(image.shape[:2], np.nan), "data/model")
    with pytest.raises(UserError, match="^data/model: gives values that are not finite; copy the model again"):
        broken(PHOTO)


def test_a_generator_is_no_detector_and_a_detector_no_generator(folder):
    with pytest.raises(UserError, match="restore: finds no damage; give a model of the profile detect"):
        Detector.load("restore")
    with pytest.raises(UserError, match=r"generator.onnx: not a detector \(it takes image, mask, start and gives rest"):
        Detector.load(ROOT / "models/restore/generator.onnx")
    with pytest.raises(UserError, match="finds damage, and restores none; give it to --detect"):
        weights.load_refiner(folder, torch.device("cpu"))


def test_mend_takes_its_mask_from_a_detector(folder, tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pipeline.commands.mend",
            "photo.png",
            "--detect",
            str(folder),
            "--save-mask",
            "mask.png",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "mask.png") as mask:
        assert np.array_equal(np.asarray(mask) > 127, mark(Detector.load(folder)(PHOTO))[0])
