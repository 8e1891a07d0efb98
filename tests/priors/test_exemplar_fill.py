import time
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from pipeline.priors import exemplar_fill
from pipeline.priors.numpy_fill import fill


def tiled(height: int, width: int, period: tuple[int, int], seed: int = 0) -> np.ndarray:
    tile = np.random.default_rng(seed).random((*period, 3), np.float32)
    repeats = -(-height // period[0]), -(-width // period[1]), 1
    return np.tile(cv2.GaussianBlur(tile, (0, 0), 1, borderType=cv2.BORDER_REPLICATE), repeats)[:height, :width]


def striped(height: int, width: int) -> np.ndarray:
    stripes = np.sin(np.arange(width) * 2 * np.pi / 9) / 2 + 0.5
    return np.broadcast_to(stripes[None, :, None], (height, width, 3)).astype(np.float32)


def holes(height: int, width: int, *boxes: tuple[int, int, int, int]) -> np.ndarray:
    hole = np.zeros((height, width), bool)
    for top, left, bottom, right in boxes:
        hole[top:bottom, left:right] = True
    return hole


def error(restored: np.ndarray, picture: np.ndarray, hole: np.ndarray) -> float:
    return float(np.sqrt(np.square(restored - picture)[hole].mean()))


TEXTURES = pytest.mark.parametrize("picture", [striped(96, 128), tiled(96, 128, (8, 12))], ids=["stripes", "tiles"])
PHOTO = cv2.resize(data.chelsea()[:300, :300], (128, 128), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
HOLE = holes(128, 128, (40, 30, 98, 92))


@TEXTURES
@pytest.mark.parametrize("hole", [holes(96, 128, (30, 40, 66, 80)), holes(96, 128, (30, 10, 54, 34), (40, 70, 70, 96))])
def test_a_texture_is_continued_almost_exactly(picture, hole):
    guide = fill("plate", picture, hole)
    assert error(guide, picture, hole) > 0.08
    assert error(exemplar_fill.fill(guide, hole, guidance=0.5), picture, hole) < 0.02


@TEXTURES
def test_a_texture_is_continued_to_the_edge(picture):
    hole = holes(96, 128, (0, 0, 30, 30), (60, 90, 96, 128))
    guide = fill("plate", picture, hole)
    assert error(exemplar_fill.fill(guide, hole, guidance=0.5), picture, hole) < error(guide, picture, hole) / 2


def test_patches_are_taken_from_the_source_alone():
    hole = holes(96, 128, (34, 40, 60, 70))
    picture = tiled(96, 128, (8, 12))
    picture[:, 90:] = (1, 0, 0)
    guide, red = fill("plate", picture, hole), np.zeros_like(hole)
    red[:, 90:] = True
    assert error(exemplar_fill.fill(guide, hole, guidance=0.5), picture, hole) < 0.02
    assert np.allclose(exemplar_fill.fill(guide, hole, red)[hole], (1, 0, 0), atol=1e-6)


def test_the_guide_decides_where_patches_come_from():
    picture = np.full((96, 128, 3), 0.2, np.float32)
    picture[:, 64:] = 0.8
    hole = holes(96, 128, (30, 20, 66, 108))
    for dark in (40, 88):  # where the edge is, the picture leaves open
        guide = np.where(hole[..., None], np.float32(0.8), picture)
        guide[30:66, 20:dark] = 0.2
        completed = exemplar_fill.fill(guide, hole)
        assert completed[40:56, dark - 18 : dark - 4].mean() < 0.3
        assert completed[40:56, dark + 4 : dark + 18].mean() > 0.7


def test_the_seed_decides_the_bytes():
    guide = fill("plate", PHOTO, HOLE)
    first = exemplar_fill.fill(guide, HOLE, seed=1)
    assert np.array_equal(exemplar_fill.fill(guide, HOLE, seed=1), first)
    assert not np.array_equal(exemplar_fill.fill(guide, HOLE, seed=2), first)


def test_what_is_enlarged_is_copied_at_its_own_size():
    """The search sees half the size, at which the stripes are grey."""
    fine = np.zeros((192, 256, 3), np.float32)
    fine[::2] = 1
    hole = holes(192, 256, (60, 80, 120, 140))
    guide = np.where(hole[..., None], np.float32(0.5), fine)
    small = cv2.resize(guide, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    field = exemplar_fill.match(small, hole[::2, ::2], ~hole[::2, ::2])
    assert np.allclose(exemplar_fill.vote(guide, hole, field, 2), fine, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 999), st.floats(0, 1), st.integers(1, 30))
def test_any_size_and_mask_is_filled_and_what_is_known_stays(height, width, seed, share, cell):
    rng = np.random.default_rng(seed)
    guide = rng.random((height, width, 3), np.float32)
    blocks = rng.random((-(-height // cell), -(-width // cell))) < share
    hole = blocks.repeat(cell, 0).repeat(cell, 1)[:height, :width]
    completed = exemplar_fill.fill(guide, hole)
    assert completed.dtype == np.float32
    assert completed.shape == guide.shape
    assert np.array_equal(completed[~hole], guide[~hole])
    assert 0 <= completed.min() <= completed.max() <= 1 + 1e-6
    assert np.array_equal(completed, exemplar_fill.fill(guide, hole))


@pytest.mark.parametrize("hole", [np.ones((40, 40), bool), holes(40, 40, (0, 0, 40, 35)), np.eye(40, dtype=bool)[::-1]])
def test_a_hole_that_leaves_no_patch_is_the_guide(hole):
    guide = np.random.default_rng(0).random((40, 40, 3), np.float32)
    assert np.array_equal(exemplar_fill.fill(guide, hole, ~hole if hole.mean() > 0.5 else hole), guide)


def test_a_picture_smaller_than_a_patch_is_the_guide():
    guide = np.random.default_rng(0).random((6, 90, 3), np.float32)
    assert np.array_equal(exemplar_fill.fill(guide, holes(6, 90, (2, 40, 5, 50))), guide)


def test_time_and_memory_are_small():
    guide = fill("plate", PHOTO, HOLE)
    started = time.process_time()
    exemplar_fill.fill(guide, HOLE)
    assert time.process_time() - started < 1  # 0.1 on a core of a server
    tracemalloc.start()
    exemplar_fill.fill(guide, HOLE)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**25
