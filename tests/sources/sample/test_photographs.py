from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from pipeline.sources.sample import photographs
from pipeline.sources.sample.photographs import PHOTOGRAPHS

BY_NAME = {Path(photograph.path).stem: photograph for photograph in PHOTOGRAPHS}


@pytest.mark.parametrize("photograph", PHOTOGRAPHS, ids=BY_NAME)
def test_every_photograph_is_in_its_wheel_with_a_license_and_an_origin(photograph):
    assert min(photographs.load(photograph).size) >= 300
    assert photograph.license in {entry["id"] for entry in photographs.LICENSES}
    assert photograph.url.startswith("http")


def test_no_photograph_is_in_two_splits():
    assert len({photograph.path for photograph in PHOTOGRAPHS}) == len(PHOTOGRAPHS)
    assert {photograph.split for photograph in PHOTOGRAPHS} == {"train", "val", "test"}


@pytest.mark.parametrize("size", [32, 256, 512, 1024])
@pytest.mark.parametrize("photograph", PHOTOGRAPHS, ids=BY_NAME)
def test_crops_lie_inside_the_photograph_are_square_and_never_enlarged(photograph, size):
    width, height = photographs.load(photograph).size
    for index in range(50):
        left, top, right, bottom = photographs.box(photograph, index, size, seed=0)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert right - left == bottom - top >= min(size, round(min(width, height) / photographs.FREEDOM))
    crop = photographs.crop(photograph, (left, top, right, bottom), size)
    assert crop.size == (min(size, right - left),) * 2


@pytest.mark.parametrize("size", [128, 256])
def test_crops_have_the_size_asked_for_where_the_photograph_has_room(size):
    for photograph in PHOTOGRAPHS:
        assert photographs.crop(photograph, photographs.box(photograph, 0, size, 0), size).size == (size, size)


@pytest.mark.parametrize("photograph", PHOTOGRAPHS, ids=BY_NAME)
def test_crops_differ(photograph):
    boxes = [photographs.box(photograph, index, 256, seed=0) for index in range(24)]
    assert all(np.abs(np.subtract(one, other)).max() >= 2 for one, other in combinations(boxes, 2))


def test_another_seed_cuts_elsewhere():
    assert photographs.box(PHOTOGRAPHS[0], 0, 256, seed=0) != photographs.box(PHOTOGRAPHS[0], 0, 256, seed=1)


def test_colours_come_from_train_photographs_alone(monkeypatch):
    seen = set()
    monkeypatch.setattr(photographs, "_whole", lambda photograph: seen.add(photograph) or photographs.load(photograph))
    photographs._colours.cache_clear()
    for seed in range(100):
        palette = photographs.palette(np.random.default_rng(seed))
        assert palette.dtype == np.uint8
        assert palette.shape[1] == 3
    assert {photograph.split for photograph in seen} == {"train"}
