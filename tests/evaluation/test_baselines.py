from typing import get_args

import numpy as np
import pytest
from PIL import Image
from skimage import data

from pipeline.corruptions import lowres
from pipeline.evaluation import translations
from pipeline.evaluation.baselines import BASELINES, Damaged, restore_all
from pipeline.evaluation.detections import CLASSICAL
from pipeline.params import Evaluate
from pipeline.tasks import TASKS

FOR_HOLES = [name for name, baseline in BASELINES.items() if baseline.task == "restore"]
METHODS = {
    "restore": ["untouched", "mean", "telea", "navier_stokes", "biharmonic", "harmonic", "plate", "fsr", "shift_map"],
    "superres": ["bicubic", "lanczos"],
}
SLOW = ["fsr", "shift_map"]


def damaged(radius: int) -> Damaged:
    image, mask = data.coffee()[100:148, 150:198].copy(), np.zeros((48, 48), bool)
    mask[10:30, 15:40] = True
    image[mask] = 255
    return Damaged(image, mask, image, radius)


@pytest.mark.parametrize("task", METHODS)
def test_no_method_is_missing_and_no_two_give_the_same(task):
    restored = restore_all(task, damaged(radius=3), SLOW)
    assert list(restored) == METHODS[task]
    if task == "restore":  # nothing was shrunk
        assert len({picture.tobytes() for picture in restored.values()}) == len(restored)


def test_a_slow_method_runs_where_it_is_named():
    image, mask = np.full((16, 16, 3), 90, np.uint8), np.zeros((16, 16), bool)
    mask[4:9, 4:9] = True
    given = Damaged(image, mask, image, radius=3)
    quick = [name for name in METHODS["restore"] if name not in SLOW]
    assert list(restore_all("restore", given)) == quick
    assert list(restore_all("restore", given, ["fsr"])) == [*quick, "fsr"]


def test_the_parameters_name_the_slow_methods_and_only_them():
    (listed, *_) = get_args(Evaluate.model_fields["slow_baselines"].annotation)
    assert list(get_args(listed)) == [name for name, baseline in BASELINES.items() if baseline.slow] == SLOW


def test_fsr_goes_on_with_stripes_that_diffusion_would_blur():
    image = np.tile(np.where(np.arange(64) % 16 < 8, 60, 180).astype(np.uint8)[None, :, None], (64, 1, 3))
    mask = np.zeros((64, 64), bool)
    mask[20:44, 20:44] = True
    damaged = np.where(mask[..., None], 255, image).astype(np.uint8)
    given = Damaged(damaged, mask, damaged, radius=3)
    off = {
        name: np.abs(BASELINES[name].restore(given)[mask].astype(int) - image[mask]).mean()
        for name in METHODS["restore"]
    }
    assert min(off, key=off.get) in SLOW
    assert off["fsr"] < off["telea"] / 2


def test_the_radius_is_that_of_telea_and_navier_stokes():
    near, far = (restore_all("restore", damaged(radius)) for radius in (1, 8))
    assert [name for name in near if not np.array_equal(near[name], far[name])] == ["telea", "navier_stokes"]


@pytest.mark.parametrize("name", FOR_HOLES)
def test_a_baseline_keeps_known_pixels_and_fills_a_flat_picture(name):
    image = np.full((48, 62, 3), 90, np.uint8)
    mask = np.zeros((48, 62), bool)
    mask[10:30, 16:40] = True
    image[mask] = 255
    restored = BASELINES[name].restore(Damaged(image, mask, image, radius=3))
    assert restored.shape == image.shape
    assert restored.dtype == np.uint8
    assert np.array_equal(restored[~mask], image[~mask])
    if name != "untouched":
        assert np.abs(restored[mask].astype(int) - 90).max() <= 3


def test_bicubic_is_the_damaged_picture_of_low_resolution_and_lanczos_is_not():
    target = np.random.default_rng(0).integers(0, 256, (24, 33, 3), dtype=np.uint8)
    small, mask = lowres.corrupt(target, 3)
    filtered = np.asarray(Image.fromarray(small).resize((33, 24), Image.Resampling.BICUBIC))
    restored = restore_all("superres", Damaged(filtered, mask, small, radius=3))
    assert np.array_equal(restored["bicubic"], filtered)
    assert not np.array_equal(restored["lanczos"], filtered)
    assert restored["lanczos"].shape == target.shape


def test_each_task_has_its_baseline():
    tasks = {baseline.task for baseline in BASELINES.values()}
    assert tasks == TASKS.keys() - {"detect", "translate"}
    assert {name: BASELINES[TASKS[name].baseline].task for name in tasks} == {name: name for name in tasks}
    assert TASKS["detect"].baseline in CLASSICAL and TASKS["translate"].baseline in translations.CLASSICAL
