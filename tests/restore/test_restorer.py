import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from pipeline.errors import UserError
from pipeline.gan import model
from pipeline.restore.restorer import MODELS, Restorer

RESTORER = Restorer.load()
PHOTO = np.ascontiguousarray(data.chelsea()[50:178, 100:260])
HOLE = np.zeros(PHOTO.shape[:2], bool)
HOLE[40:60, 30:120] = True
RESTORED = RESTORER(PHOTO, HOLE)


def test_it_restores_as_the_pipeline_evaluates():
    generator = model.load(MODELS / "restore", torch.device("cpu"))
    expected = model.restore(generator, PHOTO[None], HOLE[None])[0]
    assert np.abs(RESTORED.astype(int) - expected).max() <= 1
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


def test_a_picture_is_enlarged_better_than_by_the_filter():
    target = PHOTO[:128, :128]
    small = Image.fromarray(target).resize((64, 64), Image.Resampling.BICUBIC)
    filtered = np.asarray(small.resize((128, 128), Image.Resampling.BICUBIC), float)
    restored = Restorer.load(MODELS / "superres").enlarge(np.asarray(small), 2).astype(float)
    assert ((restored - target) ** 2).mean() < 0.9 * ((filtered - target) ** 2).mean()
