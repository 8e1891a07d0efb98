import numpy as np
import pytest

from pipeline.corruptions import lowres
from pipeline.evaluation.baselines import BASELINES, Damaged, restore_all
from pipeline.tasks import TASKS

FOR_HOLES = [name for name, baseline in BASELINES.items() if baseline.task == "restore"]


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
