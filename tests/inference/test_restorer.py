import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps
from safetensors.torch import load_file, save_file
from skimage import data

from pipeline.inference import image_file
from pipeline.inference.enlarger import Enlarger
from pipeline.inference.model_files import MODELS
from pipeline.inference.restorer import Restorer
from pipeline.networks import weights
from pipeline.runtime.errors import UserError

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RESTORER = Restorer.load()
PHOTO = np.ascontiguousarray(data.chelsea()[50:178, 100:260])
HOLE = np.zeros(PHOTO.shape[:2], bool)
HOLE[40:60, 30:120] = True
RESTORED = RESTORER(PHOTO, HOLE)


def test_it_restores_as_the_pipeline_evaluates():
    generator = weights.load(MODELS / "restore", torch.device("cpu"))
    expected = weights.restore(generator, PHOTO[None], HOLE[None])[0]
    assert np.abs(RESTORER(PHOTO, HOLE, see_through=True).astype(int) - expected).max() <= 1
    assert np.array_equal(RESTORED[~HOLE], PHOTO[~HOLE])
    assert not np.array_equal(RESTORED[HOLE], PHOTO[HOLE])


@pytest.mark.parametrize(
    "mask",
    [
        HOLE,
        HOLE.astype(np.uint8),
        HOLE * 1.0,
        HOLE.astype(np.uint8) * 255,
        Image.fromarray(HOLE),
        torch.from_numpy(HOLE),
    ],
)
def test_a_mask_of_any_kind_will_do(mask):
    assert np.array_equal(RESTORER(PHOTO, mask), RESTORED)


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_an_integer_mask_may_have_any_white(white):
    assert np.array_equal(RESTORER(PHOTO, np.where(HOLE, white, 0)), RESTORED)


@pytest.mark.parametrize("white", [5, 127, 256, 32767, 65536, -1])
def test_integers_whose_white_is_not_sure_are_refused_with_what_was_seen(white):
    with pytest.raises(ValueError, match=f"from {min(0, white)} to {max(0, white)}; expected bool"):
        RESTORER(PHOTO, np.where(HOLE, white, 0))


def test_pixels_may_be_missing_under_the_mask_alone():
    floats = PHOTO.astype(np.float32) / 255
    missing = np.where(HOLE[..., None], np.float32(np.nan), floats)
    assert np.array_equal(RESTORER(missing, HOLE), RESTORER(floats, HOLE, see_through=False))
    with pytest.raises(ValueError, match="NaN at row 40, column 30"):
        RESTORER(missing, np.roll(HOLE, 30, axis=0))
    with pytest.raises(ValueError, match=r"floats from 0.0 to 255.0; expected \[0, 1\]"):
        RESTORER(floats * 255 / floats.max(), HOLE)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
@pytest.mark.parametrize("flip", [np.s_[::-1], np.s_[:, ::-1], np.s_[::-1, ::-1]])
def test_flipped_arrays_are_restored_as_any_other(kind, flip):
    deep = PHOTO.astype(np.float32) / 255 if kind is np.float32 else PHOTO
    expected = RESTORER(deep[flip].copy(), HOLE[flip].copy())
    assert np.array_equal(RESTORER(deep[flip], HOLE.astype(kind)[flip]), expected)
    batch = RESTORER(np.stack([deep, deep])[:, ::-1], np.stack([HOLE, HOLE]).astype(kind)[:, ::-1])
    assert np.array_equal(batch[1], RESTORER(deep[::-1].copy(), HOLE[::-1].copy()))
    tensor = torch.from_numpy(np.ascontiguousarray(deep[flip].transpose(2, 0, 1)))
    assert np.array_equal(RESTORER(tensor, HOLE[flip]).permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("wrong", ["no", 0, 1, "", np.nan])
def test_see_through_is_true_false_or_none(wrong):
    with pytest.raises(TypeError, match=f"see_through={wrong!r}; expected True, False or None"):
        RESTORER(PHOTO, HOLE, see_through=wrong)


def test_nothing_can_be_missing_where_all_is_degraded():
    missing = np.where(HOLE[..., None], np.float32(np.nan), PHOTO.astype(np.float32) / 255)
    with pytest.raises(ValueError, match="NaN at row 40, column 30; only under a mask that leaves something"):
        RESTORER(missing, np.ones_like(HOLE))


def test_nothing_is_looked_at_where_pixels_are_missing():
    """Under a stain, what is around the missing pixel would be used, and grey with it."""
    stained = PHOTO.astype(np.float32) / 255
    stained[HOLE] = stained[HOLE] * 0.5 + 0.2
    missing = stained.copy()
    missing[50, 60] = np.nan
    assert not np.array_equal(RESTORER(stained, HOLE, True)[HOLE], RESTORER(stained, HOLE, False)[HOLE])
    for see_through in (True, None):
        assert np.array_equal(RESTORER(missing, HOLE, see_through), RESTORER(missing, HOLE, False))
        assert not np.array_equal(RESTORER(missing, HOLE, see_through), RESTORER(stained, HOLE, True))


@pytest.mark.parametrize("wrong", [None, "mask.png", [[True]]])
def test_what_is_neither_picture_nor_mask_is_named_by_its_type(wrong):
    with pytest.raises(TypeError, match=f"a mask of type {type(wrong).__name__}; expected a PIL image"):
        RESTORER(PHOTO, wrong)
    with pytest.raises(TypeError, match=f"a picture of type {type(wrong).__name__}; expected a PIL image"):
        RESTORER(wrong, HOLE)


@pytest.mark.parametrize("mode", ["1", "RGB", "P", "RGBA", "LA"])
def test_a_pil_mask_of_any_mode_will_do(mode):
    mask = Image.fromarray(HOLE).convert("L").convert(mode)
    assert np.array_equal(RESTORER(PHOTO, mask), RESTORED)
    assert np.array_equal(np.asarray(RESTORER(Image.fromarray(PHOTO), mask)), RESTORED)


def test_a_mask_that_looks_wrong_is_warned_of():
    with pytest.warns(UserWarning, match="looks inverted"):
        RESTORER(PHOTO, ~HOLE)


def test_known_values_of_any_floating_tensor_stay():
    tensor = torch.rand(3, *HOLE.shape, dtype=torch.float64, requires_grad=True)
    restored = RESTORER(tensor, HOLE)
    assert torch.equal(restored[:, ~torch.from_numpy(HOLE)], tensor[:, ~torch.from_numpy(HOLE)])
    with pytest.raises(ValueError):
        RESTORER(torch.zeros(3, *HOLE.shape, dtype=torch.int32), HOLE)


def test_pil_comes_out_as_pil():
    restored = RESTORER(Image.fromarray(PHOTO), Image.fromarray(HOLE))
    assert np.array_equal(np.asarray(restored), RESTORED)
    grey = RESTORER(Image.fromarray(PHOTO).convert("L"), Image.fromarray(HOLE))
    assert grey.mode == "L"
    with pytest.raises(ValueError, match="mode RGBA"):
        RESTORER(Image.fromarray(PHOTO).convert("RGBA"), HOLE)


def stored(image: Image.Image, orientation: int, path) -> Image.Image:
    """What a telephone writes, opened and not loaded."""
    back = {**image_file.BACK, 1: None}[orientation]
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Camera"
    exif.get_ifd(0x8769)[0xA002] = image.width
    lying = image.transpose(back) if back is not None else image
    lying.save(path, exif=exif, icc_profile=PROFILE, dpi=(300, 150))
    return Image.open(path)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.filterwarnings("ignore:.*taken to be upright")
def test_a_pil_image_comes_out_upright_with_its_profile(orientation, suffix, tmp_path):
    image = stored(Image.fromarray(PHOTO), orientation, tmp_path / f"photo.{suffix}")
    restored = RESTORER(image, Image.fromarray(HOLE))
    assert np.array_equal(np.asarray(restored), RESTORED)
    assert restored.info["icc_profile"] == PROFILE
    assert np.allclose(restored.info["dpi"], (150, 300) if orientation > 4 and suffix == "png" else (300, 150), atol=1)
    for name in ("restored.png", "restored.tif", "restored.jpg", "restored.webp"):
        restored.save(tmp_path / name, **restored.info)
        again = Image.open(tmp_path / name)
        assert ImageOps.exif_transpose(again).size == PHOTO.shape[1::-1]
        assert again.info["icc_profile"] == PROFILE
        assert again.getexif()[0x010F] == "Camera"
    restored.save(tmp_path / "restored.png")
    assert np.array_equal(np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "restored.png"))), RESTORED)


@pytest.mark.parametrize("kind", [np.asarray, Image.fromarray, torch.tensor])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_a_picture_that_lies_may_lie_too(orientation, kind, tmp_path):
    image = stored(Image.fromarray(PHOTO), orientation, tmp_path / "photo.png")
    lying = Image.fromarray(HOLE).transpose(image_file.BACK[orientation])
    assert np.array_equal(np.asarray(RESTORER(image, kind(np.array(lying)))), RESTORED)
    assert np.array_equal(np.asarray(RESTORER(image, kind(HOLE))), RESTORED)
    on_its_side = stored(Image.fromarray(HOLE).convert("L"), orientation, tmp_path / "mask.png")
    assert np.array_equal(np.asarray(RESTORER(image, on_its_side)), RESTORED)
    assert np.array_equal(RESTORER(PHOTO, on_its_side), RESTORED)


def test_it_is_said_where_a_mask_may_lie_or_stand(tmp_path):
    image = stored(Image.fromarray(PHOTO), 3, tmp_path / "photo.png")
    with pytest.warns(UserWarning, match="EXIF turns the picture, and the mask is taken to be upright too"):
        assert np.array_equal(np.asarray(RESTORER(image, HOLE)), RESTORED)


def test_an_enlarged_pil_image_is_upright_and_names_no_sides_it_had(tmp_path):
    enlarger = Enlarger.load()
    small = Image.fromarray(PHOTO[:40, :60])
    large = enlarger(stored(small, 6, tmp_path / "small.png"), 2)
    assert np.array_equal(np.asarray(large), enlarger(np.asarray(small), 2))
    assert large.info["icc_profile"] == PROFILE
    assert large.getexif()[0x010F] == "Camera"
    assert 0xA002 not in large.getexif().get_ifd(0x8769)
    assert 0x0112 not in large.getexif()


def test_damaged_exif_of_a_pil_image_is_left_out(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "photo.png", exif=b"Exif\0\0damaged", icc_profile=PROFILE)
    restored = RESTORER(Image.open(tmp_path / "photo.png"), HOLE)
    assert np.array_equal(np.asarray(restored), RESTORED)
    assert restored.info == {"icc_profile": PROFILE}


def test_tensors_come_out_as_tensors():
    tensor = torch.from_numpy(PHOTO.transpose(2, 0, 1).copy())
    assert np.array_equal(RESTORER(tensor, HOLE).permute(1, 2, 0).numpy(), RESTORED)
    batch = RESTORER(torch.stack([tensor, tensor]).half() / 255, torch.from_numpy(HOLE).expand(2, 1, -1, -1))
    assert batch.dtype == torch.float16
    assert batch.shape == (2, 3, *HOLE.shape)
    assert np.abs(batch[1].permute(1, 2, 0).float().numpy() * 255 - RESTORED).max() < 1.5


def test_a_batch_is_restored_picture_by_picture():
    both = RESTORER(np.stack([PHOTO, PHOTO[::-1]]), np.stack([HOLE, HOLE[::-1]]))
    assert np.array_equal(both[0], RESTORED)
    assert both.shape == (2, *PHOTO.shape)


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_deeper_pixels_are_restored_alike(kind):
    deep = PHOTO.astype(np.uint16) * 257 if kind is np.uint16 else PHOTO.astype(np.float32) / 255
    scale = 257 if kind is np.uint16 else 1 / 255
    restored = RESTORER(deep, HOLE)
    assert restored.dtype == kind
    assert np.abs(restored / scale - RESTORED).max() < 1.1
    grey = RESTORER(deep[..., 0], HOLE)
    assert grey.shape == HOLE.shape
    assert np.array_equal(grey[~HOLE], deep[..., 0][~HOLE])


@pytest.mark.parametrize(
    ("image", "mask"),
    [(PHOTO, HOLE[1:]), (PHOTO[..., :2], HOLE), (PHOTO.astype(np.int64), HOLE), (torch.zeros(9, 9), HOLE)],
)
def test_what_does_not_fit_is_refused(image, mask):
    with pytest.raises(ValueError):
        RESTORER(image, mask)


def test_no_model_is_said_in_one_line(tmp_path):
    with pytest.raises(UserError, match="no model"):
        Restorer.load(tmp_path)


def test_a_model_that_ships_is_found_by_its_name_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "restore").mkdir()
    assert np.array_equal(Restorer.load("restore")(PHOTO, HOLE), RESTORED)
    for missing in ("nope", "models/nope", tmp_path / "generator.onnx"):
        with pytest.raises(
            UserError, match="no such model; give a model folder .* that ships: detect, general, restore, superres"
        ):
            Restorer.load(missing)


def test_a_model_does_what_it_was_trained_for_alone():
    with pytest.raises(UserError, match="superres: enlarges, and restores no holes; give it to --upscale"):
        Restorer.load("superres")
    with pytest.raises(UserError, match="restore: keeps the size of a picture; give a model of the profile superres"):
        Enlarger.load("restore")
    with pytest.raises(ValueError, match="a factor of 5; expected one of 2, 3, 4"):
        Enlarger.load()(PHOTO, 5)


def test_a_model_that_learned_from_low_resolution_alone_takes_no_hole(own):
    (own / "scores.csv").write_text("corruption\nlowres_x2\nlowres_x4\n")
    with pytest.raises(UserError, match="was trained to enlarge, and knows no holes; use the model restore"):
        Restorer.load(own)(PHOTO, HOLE)


@pytest.fixture
def own(tmp_path):
    """A copy of a model."""
    for name in ("config.json", "generator.safetensors"):
        shutil.copy(MODELS / "restore" / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_a_model_that_gives_no_numbers_is_refused_in_one_line(scale, own):
    tensors = load_file(own / "generator.safetensors")
    save_file({name: tensor * scale for name, tensor in tensors.items()}, own / "generator.safetensors")
    config = json.loads((own / "config.json").read_text())
    del config["sha256"]
    (own / "config.json").write_text(json.dumps(config))
    wrong = "values that are not finite; copy the model again from where it is from, or train it anew"
    with pytest.raises(UserError, match=f"{own}: gives {wrong}"):
        Restorer.load(own)(PHOTO, HOLE)
    with pytest.raises(UserError, match=f"the generator gives {wrong}"):
        weights.restore(weights.load(own, torch.device("cpu")), PHOTO[None], HOLE[None])


@pytest.mark.parametrize(
    "text",
    [
        "corruption\n" + "x" * 200_000,
        'corruption\n"' + "x\n" * 100_000,
        "x" * 200_000 + "\nscratch",
        f"corruption,psnr\nscratch,{'1' * 200_000}\n",
    ],
)
def test_a_table_of_scores_that_is_damaged_is_refused_in_one_line(text, own):
    (own / "scores.csv").write_text(text)
    with pytest.raises(UserError, match="scores.csv: not a table of scores .*; remove it, or copy it again"):
        Restorer.load(own)


def test_scores_that_are_a_folder_are_refused_in_one_line(own):
    (own / "scores.csv").mkdir()
    with pytest.raises(UserError, match="scores.csv: Is a directory; expected a file"):
        Restorer.load(own)


def test_a_restored_picture_is_another():
    with pytest.warns(UserWarning, match="black all over"):
        restored = RESTORER(PHOTO, np.zeros_like(HOLE))
    assert np.array_equal(restored, PHOTO)
    assert not np.shares_memory(restored, PHOTO)


def test_a_picture_is_enlarged_better_than_by_the_filter():
    target = PHOTO[:128, :128]
    small = Image.fromarray(target).resize((64, 64), Image.Resampling.BICUBIC)
    filtered = np.asarray(small.resize((128, 128), Image.Resampling.BICUBIC), float)
    restored = Enlarger.load()(np.asarray(small), 2).astype(float)
    assert ((restored - target) ** 2).mean() < 0.9 * ((filtered - target) ** 2).mean()
