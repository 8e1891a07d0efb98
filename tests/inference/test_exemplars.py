import resource
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from pipeline.inference import exemplars, pyramid, windows
from pipeline.inference.restorer import Restorer
from pipeline.networks import weights
from pipeline.networks.registry import build_generator
from pipeline.runtime.errors import UserError
from tests.clone import ROOT

RESTORER = Restorer.load()
PHOTO = np.ascontiguousarray(data.chelsea()[:200, 100:340])
LARGE, THIN = np.zeros((2, 200, 240), bool)
LARGE[60:110, 90:150] = True
THIN[20:28, 20:200] = THIN[150:190, 30:38] = True


def today(image: np.ndarray, hole: np.ndarray, see_through: bool | None) -> np.ndarray:
    """What the network alone gives."""

    def whole(*arguments):
        return pyramid.restore(RESTORER.network, RESTORER.prior, *arguments)

    return windows.restore(whole, image, hole, see_through)


def detail(image: np.ndarray, hole: np.ndarray) -> float:
    return float(np.abs(cv2.Laplacian(image.astype(np.float32), cv2.CV_32F))[hole].mean())


@pytest.mark.parametrize("see_through", [True, False, None])
def test_full_fidelity_is_what_the_network_gives(see_through):
    hole = LARGE | THIN
    assert np.array_equal(RESTORER.restore(PHOTO, hole, see_through, 1), today(PHOTO, hole, see_through))


@pytest.mark.parametrize("fidelity", [0, 0.5])
def test_thin_and_translucent_damage_is_what_the_network_gives(fidelity):
    restored = RESTORER.restore(PHOTO, LARGE | THIN, False, fidelity)
    expected = today(PHOTO, LARGE | THIN, False)
    assert np.array_equal(restored[THIN], expected[THIN])
    assert not np.array_equal(restored[LARGE], expected[LARGE])
    stained = PHOTO.copy()
    stained[LARGE] = stained[LARGE] * 0.5 + 60
    assert np.array_equal(RESTORER.restore(stained, LARGE, True, fidelity), today(stained, LARGE, True))
    assert np.array_equal(RESTORER.restore(stained, LARGE, None, fidelity), today(stained, LARGE, None))


def test_a_large_opaque_hole_gets_detail_as_less_fidelity_is_asked():
    covered = np.where(LARGE[..., None], np.uint8(128), PHOTO)
    restored = [RESTORER.restore(covered, LARGE, None, fidelity) for fidelity in (0, 0.5, 0.75, 1)]
    details = [detail(result, LARGE) for result in restored]
    assert details[0] > 2 * details[3]
    assert details[1] > details[2] > details[3]
    coarse = [cv2.GaussianBlur(result.astype(np.float32), (0, 0), 6)[75:95, 110:130] for result in restored]
    assert np.abs(coarse[1] - coarse[3]).mean() < np.abs(coarse[0] - coarse[3]).mean() / 2


@pytest.mark.parametrize("fidelity", [0, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_pixels_of_any_kind_come_out_alike(kind, fidelity):
    image = pyramid.as_kind(pyramid.as_float(PHOTO), np.dtype(kind))
    restored = RESTORER.restore(image, LARGE, False, fidelity)
    assert restored.dtype == kind
    assert np.array_equal(restored[~LARGE], image[~LARGE])
    expected = pyramid.as_float(RESTORER.restore(PHOTO, LARGE, False, fidelity))
    assert np.abs(pyramid.as_float(restored) - expected).mean() < 0.01


def test_patches_are_refined_without_a_look_at_what_lies_in_the_hole():
    hole = LARGE.copy()
    hole[98:] = False

    def inverted(image, hole, start):
        assert (image[hole] == pyramid.GREY).all()
        return 1 - start

    arguments = PHOTO, hole | THIN, hole, 0
    plain, refined = exemplars.complete(*arguments), exemplars.complete(*arguments, inverted)
    assert np.array_equal(refined[~hole], PHOTO[~hole])
    assert np.abs(255 - plain[hole].astype(int) - refined[hole]).max() <= 1


def test_a_model_on_patches_is_the_texture_of_another(tmp_path):
    arguments = {"design": "residual", "channels": 4, "blocks": 1, "scales": 2, "patch": 4, "prior": "exemplar"}
    torch.manual_seed(0)
    generator = build_generator(**arguments)
    torch.nn.init.normal_(generator.head[1].weight, std=0.1)
    weights.save(tmp_path / "patches", generator, {"generator": arguments})
    refined = Restorer.load(texture=tmp_path / "patches").restore(PHOTO, LARGE | THIN, False, 0)
    plain = RESTORER.restore(PHOTO, LARGE | THIN, False, 0)
    assert np.array_equal(refined[~LARGE], plain[~LARGE])
    assert not np.array_equal(refined[LARGE], plain[LARGE])
    with pytest.raises(UserError, match="patches: refines patches in large holes alone; give it as the texture of ano"):
        Restorer.load(tmp_path / "patches")
    with pytest.raises(UserError, match="^restore: its prior is plate; the texture of another model has exemplar"):
        Restorer.load(texture="restore")


def test_grey_pictures_get_grey_texture():
    grey = np.ascontiguousarray(PHOTO[..., 1])
    restored = RESTORER.restore(grey, LARGE, False, 0)
    assert restored.shape == grey.shape
    assert detail(restored, LARGE) > 2 * detail(RESTORER.restore(grey, LARGE, False, 1), LARGE)


def test_the_second_generator_sees_no_deeper_holes_than_it_knows():
    hole = np.zeros((400, 440), bool)
    hole[120:260, 130:300] = True
    photo = cv2.resize(PHOTO, (440, 400), interpolation=cv2.INTER_CUBIC)
    depths = []

    def refine(image: np.ndarray, gap: np.ndarray, start: np.ndarray) -> np.ndarray:
        depths.append(cv2.distanceTransform(gap.astype(np.uint8), cv2.DIST_L2, 5).max())
        assert np.allclose(image[gap], pyramid.GREY)
        return start + 0.1 * gap[..., None]

    smooth = RESTORER.restore(photo, hole, False, 1)
    plain, refined = (exemplars.complete(smooth, hole, hole, 0, each) for each in (None, refine))
    assert 0 < max(depths) <= exemplars.DEEPEST + 1
    deep = cv2.erode(hole.astype(np.uint8), np.ones((21, 21), np.uint8)) > 0
    changed = refined[deep].astype(int) - plain[deep]
    assert abs(np.median(changed) - 25.5) <= 1  # and the patches' own detail is still there
    assert np.array_equal(refined[~hole], photo[~hole])


def test_a_grey_photo_in_three_channels_stays_grey():
    grey = np.repeat(PHOTO[..., :1], 3, axis=2)
    restorer = Restorer(RESTORER.network, RESTORER.prior, refine=lambda image, hole, start: start * [1, 0.5, 0])
    restored = restorer.restore(grey, LARGE | THIN, False, 0)
    assert (restored == restored[..., :1]).all()
    assert not np.array_equal(restored[LARGE], RESTORER.restore(grey, LARGE | THIN, False, 0)[LARGE])


def test_the_texture_of_a_large_picture_is_its_own(monkeypatch):
    """Stripes that the scale of the search does not see."""
    image = np.zeros((600, 600, 3), np.uint8)
    image[::2] = 255
    hole = np.zeros((600, 600), bool)
    hole[200:400, 200:400] = True
    grey = np.where(hole[..., None], np.uint8(128), image)
    monkeypatch.setattr(exemplars, "SIDE", 150)
    assert np.array_equal(exemplars.complete(grey, hole, hole, 0), image)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(0, 99), st.floats(0, 1), st.floats(0, 1))
def test_any_size_and_holes_keep_what_is_known(height, width, seed, share, fidelity):
    rng = np.random.default_rng(seed)
    image = rng.integers(256, size=(height, width, 3)).astype(np.uint8)
    hole = (rng.random((5, 5)) < share).repeat(30, 0).repeat(30, 1)[:height, :width]
    opaque = hole & (rng.random((5, 5)) < 0.5).repeat(30, 0).repeat(30, 1)[:height, :width]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exemplars, "SIDE", 64)
        completed = exemplars.complete(image, hole, opaque, fidelity)
    assert np.array_equal(completed[~opaque], image[~opaque])


def test_in_windows_and_with_other_holes_far_away_it_is_the_same(monkeypatch):
    image = cv2.resize(data.coffee(), (1400, 1000), interpolation=cv2.INTER_CUBIC)
    near, far = np.zeros((2, 1000, 1400), bool)
    near[60:100, 70:140] = True
    far[900:950, 1200:1290] = True
    expected = exemplars.complete(image, near | far, near | far, 0.0)
    monkeypatch.setattr(windows, "WHOLE", 0)
    monkeypatch.setattr(windows, "CELL", 256)
    assert np.array_equal(exemplars.complete(image, near | far, near | far, 0.0), expected)
    assert np.array_equal(exemplars.complete(image, near, near, 0.0)[near], expected[near])
    for box in windows.separate_boxes(near | far):
        hole = (near | far)[box]
        assert np.array_equal(exemplars.complete(image[box], hole, hole, 0.0), expected[box])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(1, 6))
def test_a_window_lies_in_what_the_restoration_has_seen(seed, count):
    rng = np.random.default_rng(seed)
    drawn = np.zeros((1500, 1500), np.uint8)
    for _ in range(count):
        points = rng.integers(200, 1300, (3, 1, 2)).astype(np.int32)
        cv2.polylines(drawn, [points], False, 1, int(rng.integers(1, 150)))
    hole, radius = drawn.astype(bool), cv2.distanceTransform(drawn, cv2.DIST_L2, 5)
    count, number, stats, _ = cv2.connectedComponentsWithStats(drawn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WHOLE", 0)
        patch.setattr(windows, "CELL", 128)
        boxes = windows.separate_boxes(hole)
    for one in range(1, count):
        left, top, width, height, _ = stats[one]
        own = slice(top, top + height), slice(left, left + width)
        window = exemplars._window(radius[own] * (number[own] == one), (top, left), hole.shape)
        (box,) = [box for box in boxes if (number[box] == one).any()]
        for inner, outer in zip(window, box, strict=True):
            assert outer.start <= inner.start
            assert inner.stop <= outer.stop


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_fidelity_is_a_number_from_0_to_1(wrong):
    with pytest.raises(ValueError, match=f"fidelity={wrong}; expected a number from 0 to 1"):
        RESTORER(PHOTO, LARGE, fidelity=wrong)


@pytest.mark.long
def test_12_megapixels_stay_in_bounds_of_time_and_memory():
    script = """
import time, numpy as np, cv2
from skimage import data
from pipeline.inference import exemplars
cv2.setNumThreads(1)
image = cv2.resize(data.coffee(), (4000, 3000), interpolation=cv2.INTER_CUBIC)
hole = np.zeros((3000, 4000), bool)
hole[800:2200, 1200:2800] = hole[100:500, 100:700] = True
cpu = time.process_time()
assert not np.array_equal(exemplars.complete(image, hole, hole, 0.5), image)
print(time.process_time() - cpu)
"""
    most = 2**31  # bytes: of the picture in floats 144 MB, of what the search compares 100
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (most, most)),
        capture_output=True,
        text=True,
    )
    assert float(done.stdout) < 20  # 4 on a core of a server
