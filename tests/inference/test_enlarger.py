import numpy as np
import pytest
from PIL import Image

from pipeline.inference import enlarger as module
from pipeline.inference.enlarger import FACTORS, Enlarger
from pipeline.inference.model_files import MODELS
from pipeline.runtime.errors import UserError

TRAINED = Enlarger.load()
PICTURE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


@pytest.mark.parametrize("factor", FACTORS)
def test_tiles_leave_no_seam(factor, monkeypatch):
    whole = TRAINED(PICTURE, factor)
    monkeypatch.setattr(module, "TILE", 24)
    assert np.abs(TRAINED(PICTURE, factor).astype(int) - whole).max() <= 1  # a rounding


@pytest.mark.parametrize("factor", FACTORS)
def test_onnx_gives_what_pytorch_gives(factor):
    onnx = Enlarger.load(MODELS / "superres/generator.onnx")
    assert np.abs(onnx(PICTURE, factor).astype(int) - TRAINED(PICTURE, factor)).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (7, 1), (2, 2, 1)])
def test_the_smallest_pictures_are_enlarged(shape):
    for network in (TRAINED, Enlarger.load(MODELS / "superres/generator.onnx")):
        large = network(np.full(shape, 100, np.uint8), 3)
        assert large.shape == (3 * shape[0], 3 * shape[1], *shape[2:])
        assert np.abs(large.astype(int) - 100).max() < 25


def test_grey_stays_grey_whatever_it_is_stored_as():
    grey = PICTURE[..., :1]
    colours = TRAINED(grey.repeat(3, -1), 2)
    assert (colours == colours[..., :1]).all()
    assert np.array_equal(TRAINED(grey[..., 0], 2), colours[..., 0])


def test_sixteen_bits_are_kept():
    fine = (PICTURE.astype(np.uint16) << 8) + 128
    large = TRAINED(fine, 2)
    assert large.dtype == np.uint16 and len(np.unique(large & 255)) > 100
    assert np.abs(large / 257 - TRAINED(PICTURE, 2)).max() < 3


def painting(level: float) -> Enlarger:
    return Enlarger(lambda image, factor: np.full((*np.multiply(image.shape[:2], factor), 3), level), 0)


@pytest.mark.parametrize(("fidelity", "expected"), [(1, 200), (0.75, 175), (0.5, 150), (0, 100)])
def test_a_lower_fidelity_takes_more_of_the_texture(fidelity, expected):
    faithful, texture = painting(200 / 255), painting(100 / 255)
    faithful.texture = texture
    assert (faithful(PICTURE, 2, fidelity) == expected).all()
    assert faithful(PICTURE, 2).min() == 200  # by default none


@pytest.mark.parametrize("fidelity", [-0.1, 1.1, float("nan"), "0"])
def test_a_fidelity_that_is_none_is_refused(fidelity):
    with pytest.raises(ValueError, match="expected a number from 0 to 1"):
        TRAINED(PICTURE, 2, fidelity)
    with pytest.raises(ValueError, match="fidelity=0.5; expected 1, or a model for texture beside"):
        TRAINED(PICTURE, 2, 0.5)


def test_a_network_that_gives_no_numbers_is_refused_in_one_line():
    broken = Enlarger(lambda image, factor: np.full((*np.multiply(image.shape[:2], factor), 3), np.nan), 2, "mine")
    with pytest.raises(UserError, match="mine: gives values that are not finite; copy the model again"):
        broken(Image.fromarray(PICTURE), 2)
