import numpy as np
import pytest
from skimage import data

from pipeline.corruptions import lowres
from pipeline.evaluation.baselines import BASELINES, Damaged, restore_all
from pipeline.tasks import TASKS

FOR_HOLES = [name for name, baseline in BASELINES.items() if baseline.task == "restore"]
METHODS = {
    "restore": ["untouched", "mean", "telea", "navier_stokes", "biharmonic", "harmonic", "plate"],
    "superres": ["bicubic", "lanczos"],
}


def damaged(radius: int) -> Damaged:
    image, mask = data.coffee()[100:148, 150:198].copy(), np.zeros((48, 48), bool)
    mask[10:30, 15:40] = True
    image[mask] = 255
    return Damaged(image, mask, image, radius)


@pytest.mark.parametrize("task", METHODS)
def test_no_method_is_missing_and_no_two_give_the_same(task):
    restored = restore_all(task, damaged(radius=3))
    assert list(restored) == METHODS[task]
    if task == "restore":  # nothing was shrunk
        assert len({picture.tobytes() for picture in restored.values()}) == len(restored)


def test_the_radius_is_that_of_telea_and_navier_stokes():
    near, far = (restore_all("restore", damaged(radius)) for radius in (1, 8))
    assert [name for name in near if not np.array_equal(near[name], far[name])] == ["telea", "navier_stokes"]


@pytest.mark.parametrize("name", FOR_HOLES)
def test_a_baseline_keeps_known_pixels_and_fills_a_flat_picture(name):
    image = np.full((24, 31, 3), 90, np.uint8)
    mask = np.zeros((24, 31), bool)
    mask[5:15, 8:20] = True
    image[mask] = 255
    restored = BASELINES[name].restore(Damaged(image, mask, image, radius=3))
    assert restored.shape == image.shape
    assert restored.dtype == np.uint8
    assert np.array_equal(restored[~mask], image[~mask])
    if name != "untouched":
        assert np.abs(restored[mask].astype(int) - 90).max() <= 3


def test_bicubic_is_the_damaged_picture_of_low_resolution_and_lanczos_is_not():
    target = np.random.default_rng(0).integers(0, 256, (24, 33, 3), dtype=np.uint8)
    image, mask = lowres.corrupt(target, 3)
    restored = restore_all("superres", Damaged(image, mask, lowres.shrink(target, 3), radius=3))
    assert np.array_equal(restored["bicubic"], image)
    assert not np.array_equal(restored["lanczos"], image)
    assert restored["lanczos"].shape == target.shape


def test_each_task_has_its_baseline():
    assert {baseline.task for baseline in BASELINES.values()} == TASKS.keys()
    assert {name: BASELINES[task.baseline].task for name, task in TASKS.items()} == {name: name for name in TASKS}
