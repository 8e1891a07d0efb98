import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.commands import export
from pipeline.inference import pyramid
from pipeline.inference.model_files import design_of
from pipeline.inference.translator import SEAM, Translator, blend
from pipeline.networks import weights
from pipeline.networks.registry import build_generator
from pipeline.runtime.errors import UserError

PICTURE = np.random.default_rng(0).integers(0, 256, (90, 150, 3), dtype=np.uint8)
INSIDE = np.zeros((90, 150), bool)
INSIDE[20:70, 30:120] = True


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a translator that has learned nothing, but changes every pixel by what is around it; with ONNX."""
    arguments = {"channels": 8, "blocks": 1, "scales": 3, "patch": 2, "decoder": "bilinear"}
    torch.manual_seed(0)
    network = build_generator("translator", block="plain", attention=False, **arguments)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.normal_(layer.weight, std=0.1)
    folder = tmp_path_factory.mktemp("models") / "look"
    weights.save(folder, network, {"task": "translate", "generator": {"design": "translator", **arguments}})
    export.main(folder)
    return folder


@pytest.fixture
def translator(model) -> Translator:
    return Translator.load(model)


def test_tiles_leave_no_seam_and_change_no_tone(translator, monkeypatch):
    whole = translator(PICTURE)
    monkeypatch.setattr(pyramid, "TILE", 32)
    monkeypatch.setattr(pyramid, "MARGIN", 80)
    assert np.abs(translator(PICTURE).astype(int) - whole).max() <= 1  # a rounding


def test_onnx_gives_what_pytorch_gives(model, translator):
    onnx = Translator.load(model / "generator.onnx")
    assert np.abs(onnx(PICTURE).astype(int) - translator(PICTURE)).max() <= 1
    assert onnx(PICTURE[:5, :3]).shape == translator(PICTURE[:5, :3]).shape == (5, 3, 3)
    assert design_of(model) == design_of(model / "generator.onnx") == "translator"


def test_strength_is_how_far_it_goes(translator):
    whole = translator(PICTURE).astype(int)
    assert np.array_equal(translator(PICTURE, strength=0), PICTURE)
    half = translator(PICTURE, strength=0.5)
    assert np.abs(half - (whole + PICTURE) / 2).max() <= 1
    assert np.abs(whole - PICTURE).mean() > 5


@pytest.mark.parametrize("strength", [-0.1, 1.1, "much", None])
def test_another_strength_is_refused(translator, strength):
    with pytest.raises(ValueError, match=r"strength=.*; expected a number from 0 to 1"):
        translator(PICTURE, strength=strength)


def test_a_mask_bounds_the_change_and_its_seam_is_blended(translator):
    changed, whole = translator(PICTURE, INSIDE), translator(PICTURE).astype(int)
    assert np.array_equal(changed[~INSIDE], PICTURE[~INSIDE])
    deep = np.zeros_like(INSIDE)
    deep[20 + SEAM : 70 - SEAM, 30 + SEAM : 120 - SEAM] = True
    assert np.abs(changed[deep] - whole[deep]).max() <= 1
    share = np.abs(changed.astype(int) - PICTURE).sum(-1) / np.abs(whole - PICTURE).sum(-1).clip(1)
    rows = share[20 : 20 + SEAM, 50:100].mean(1)
    assert (np.diff(rows) > 0.1).all() and rows[0] < 0.25


def test_a_thin_mask_is_changed_where_it_is_deepest():
    line = np.zeros((9, 30), bool)
    line[4] = True
    assert blend(line)[4].min() == 1 and blend(line)[~line].max() == 0
    assert (blend(np.ones((9, 9), bool)) == 1).all()


def test_every_kind_of_picture_comes_out_as_it_went_in(translator):
    image = Image.fromarray(PICTURE)
    image.info["dpi"] = (300, 300)
    changed = translator(image)
    assert changed.mode == "RGB" and changed.info["dpi"] == (300, 300)
    assert np.array_equal(np.asarray(changed), translator(PICTURE))
    tensor = translator(torch.from_numpy(PICTURE).permute(2, 0, 1))
    assert np.array_equal(tensor.permute(1, 2, 0).numpy(), translator(PICTURE))
    assert np.array_equal(translator(np.stack([PICTURE, PICTURE[::-1]]))[0], translator(PICTURE))
    assert translator(PICTURE[..., 0]).shape == (90, 150)
    fine = translator((PICTURE.astype(np.uint16) << 8) + 128)
    assert fine.dtype == np.uint16 and np.abs(fine / 257 - translator(PICTURE)).max() < 4


def test_a_mask_of_another_size_is_refused(translator):
    with pytest.raises(ValueError, match=r"do not fit; expected the same height and width"):
        translator(PICTURE, INSIDE[:-1])


def test_other_models_are_refused_in_one_line(model):
    with pytest.raises(UserError, match="changes no look; give a model of the profile painting"):
        Translator.load("restore")
    with pytest.raises(UserError, match="changes the look of a picture, and restores no holes"):
        weights.load_refiner(model, torch.device("cpu"))


def test_a_network_that_gives_no_numbers_is_refused():
    broken = Translator(lambda image: np.full_like(image, np.nan), "mine")
    with pytest.raises(UserError, match="mine: gives values that are not finite"):
        broken(PICTURE)
