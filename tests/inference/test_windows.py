import resource
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from pipeline.inference import pyramid, windows
from tests.clone import ROOT

PHOTO = cv2.resize(data.coffee(), (1400, 1000), interpolation=cv2.INTER_CUBIC)


def far_sighted(image: np.ndarray, hole: np.ndarray, start: np.ndarray) -> np.ndarray:
    """In place of a network, for speed: what is seen as far as a generator sees, 100 px."""
    return (start + cv2.blur(image, (201, 201)) * hole[..., None]) / 2


def restore(image: np.ndarray, hole: np.ndarray, see_through: bool) -> np.ndarray:
    return pyramid.restore(far_sighted, "plate", image, hole, see_through)


def drawn(*shapes) -> np.ndarray:
    hole = np.zeros(PHOTO.shape[:2], np.uint8)
    for draw, *arguments in shapes:
        draw(hole, *arguments, 1, -1 if draw is not cv2.line else 3)
    return hole.astype(bool)


HOLES = {
    "one": drawn((cv2.rectangle, (701, 403), (730, 440))),
    "at corners": drawn((cv2.rectangle, (0, 0), (40, 30)), (cv2.rectangle, (1380, 970), (1399, 999))),
    "a scratch": drawn((cv2.line, (3, 10), (1390, 990))),
    "some": drawn(*((cv2.circle, (150 * k, 60 + 77 * k), 2 + 4 * k) for k in range(9))),
}


@pytest.mark.parametrize("name", HOLES)
@pytest.mark.parametrize("see_through", [True, False, None])
def test_in_windows_a_picture_is_restored_as_the_whole_of_it(name, see_through, monkeypatch):
    hole = HOLES[name]
    expected = windows.restore(restore, PHOTO, hole, see_through)
    monkeypatch.setattr(windows, "WHOLE", 0)
    monkeypatch.setattr(windows, "MOST", 2**19)
    monkeypatch.setattr(windows, "CELL", 256)
    restored = windows.restore(restore, PHOTO, hole, see_through)
    assert np.abs(restored.astype(int) - expected).max() <= 1
    assert np.array_equal(restored[~hole], PHOTO[~hole])
    for box in windows.separate_boxes(hole):
        assert np.array_equal(restored[box], windows.restore(restore, PHOTO[box], hole[box], see_through))


def test_a_region_that_reaches_through_windows_is_judged_once(monkeypatch):
    hole = drawn((cv2.line, (3, 500), (1390, 520)))
    hole = cv2.dilate(hole.astype(np.uint8), np.ones((25, 25))).astype(bool)
    image = PHOTO.copy()
    cv2.line(image, (3, 500), (690, 510), (255, 255, 255), 5)  # the other half of the mask has nothing in it
    expected = windows.restore(restore, image, hole, None)
    assert np.array_equal(expected, windows.restore(restore, image, hole, False))
    monkeypatch.setattr(windows, "WHOLE", 0)
    monkeypatch.setattr(windows, "MOST", 2**19)
    monkeypatch.setattr(windows, "CELL", 256)
    (box,) = windows.separate_boxes(hole)
    restored = windows.restore(restore, image, hole, None)
    assert np.abs(restored.astype(int) - expected).max() <= 1
    assert np.array_equal(restored[box], windows.restore(restore, image[box], hole[box], None))


def far_apart(size: int) -> np.ndarray:
    """Two small holes in opposite corners."""
    hole = np.zeros((size, size), bool)
    hole[200:220, 200:220] = hole[-220:-200, -220:-200] = True
    return hole


@pytest.mark.parametrize("see_through", [True, None])
def test_what_is_far_from_a_hole_is_not_looked_at(see_through):
    image, hole, seen = np.zeros((4200, 4200, 3), np.uint8), far_apart(4200), []

    def record(image, hole, see_through):
        seen.append(image.shape[:2])
        return image

    windows.restore(record, image, hole, see_through)
    assert len(seen) == 2
    assert max(height * width for height, width in seen) < 1000**2


@pytest.mark.parametrize("size", [4200, 13_000])
def test_boxes_follow_the_holes_and_not_their_distance(size):
    boxes = windows.separate_boxes(far_apart(size))
    assert sum(map(windows.area, boxes)) < 2 * (windows.CELL + 1000) ** 2


def test_a_hole_far_away_changes_nothing(monkeypatch):
    monkeypatch.setattr(windows, "WHOLE", 0)
    near, far = HOLES["at corners"].copy(), HOLES["at corners"].copy()
    near[500:] = far[:500] = False
    for see_through in (True, False, None):
        alone = windows.restore(restore, PHOTO, near, see_through)
        assert np.array_equal(windows.restore(restore, PHOTO, near | far, see_through)[near], alone[near])


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 999), st.floats(0.001, 0.1))
def test_boxes_apart_hold_whole_regions_and_the_windows_of_the_picture(height, width, seed, share):
    rng = np.random.default_rng(seed)
    hole = cv2.resize(rng.random((29, 29)), (width, height), interpolation=cv2.INTER_NEAREST) < share
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WHOLE", 0)
        patch.setattr(windows, "CELL", 128)
        patch.setattr(windows, "MOST", 0)
        boxes = windows.separate_boxes(hole)
        moved = [
            tuple(slice(side.start + by.start, side.stop + by.start) for side, by in zip(window, box, strict=True))
            for box in boxes
            for _, window in windows.windows(hole[box])
        ]
        if not hole.all():
            assert all(window in moved for _, window in windows.windows(hole))
    times = np.zeros(hole.shape, np.uint8)
    _, region = cv2.connectedComponents(hole.astype(np.uint8))
    regions = [set(np.unique(region[box])) - {0} for box in boxes]
    for box in boxes:
        times[box] += 1
    assert times.max() <= 1
    assert times[hole].all()
    assert sum(map(len, regions)) == len(set().union(*regions))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 900), st.integers(1, 900), st.integers(0, 999), st.floats(0, 0.3))
def test_windows_cover_every_hole_with_its_margin(height, width, seed, share):
    rng = np.random.default_rng(seed)
    hole = cv2.resize(rng.random((9, 9)), (width, height), interpolation=cv2.INTER_NEAREST) < share
    covered = np.zeros_like(hole)
    for boxes, window in windows.windows(hole):
        for box in boxes:
            covered[box] = True
            for inner, outer, end in zip(box, window, hole.shape, strict=True):
                assert outer.start <= max(0, inner.start - pyramid.MARGIN)
                assert outer.stop >= min(end, inner.stop + pyramid.MARGIN)
    assert covered[hole].all()


@pytest.mark.slow
@pytest.mark.parametrize("corners", [[6500], [200, 12_700]], ids=["one", "two far apart"])
def test_a_huge_picture_with_small_holes_takes_little_more_memory_than_it_has(corners, tmp_path):
    size = 13_000
    picture = np.tile(data.coffee()[:250, :250], (size // 250, size // 250, 1))
    hole = np.zeros((size, size), np.uint8)
    for corner in corners:
        hole[corner:, corner:][:100, :100] = 255
    Image.fromarray(picture).save(tmp_path / "photo.png", compress_level=1)
    Image.fromarray(hole).save(tmp_path / "mask.png", compress_level=1)
    command = [sys.executable, "-m", "pipeline.commands.mend", "photo.png", "--mask", "mask.png", "-o", "out.bmp"]
    model = str(ROOT / "models/restore/generator.onnx")
    most = 4 * picture.nbytes
    subprocess.run(
        [*command, "--model", model],
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (most, most)),
    )
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.bmp"))[hole == 0], picture[hole == 0])
