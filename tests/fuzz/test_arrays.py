"""Pictures and masks of every type, shape and range: each is restored or enlarged, or refused in one line."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.inference.enlarger import Enlarger
from pipeline.inference.model_files import MODELS
from pipeline.inference.restorer import Restorer
from pipeline.runtime.errors import UserError
from tests.fuzz import COUNTS, inputs

RESTORER = Restorer.load(MODELS / "restore/generator.onnx")
ENLARGER = Enlarger.load(MODELS / "superres/generator.onnx")

SIDES = st.integers(1, 20)
KINDS = ["uint8", "uint16", "float32"]
FOREIGN = ["int8", "int16", "int32", "int64", "uint32", "uint64", "float64", "bool", "complex64", "object", ">u2"]
INTEGERS = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
NEITHER: list[Any] = [None, "mask.png", Path("mask.png"), [[0, 1]], 3, b"x"]


@st.composite
def pictures(draw: st.DrawFn, channels: tuple[int, ...] = (1, 3)) -> np.ndarray:
    """Sound: HW, HWC or NHWC, of a type that is taken."""
    height, width = draw(SIDES), draw(SIDES)
    shape = draw(st.sampled_from([(height, width), *((height, width, c) for c in channels), (2, height, width, 3)]))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    kind = np.dtype(draw(st.sampled_from(KINDS)))
    values = rng.random(shape, np.float32)
    return values if kind == np.float32 else (values * np.iinfo(kind).max).astype(kind)


def sizes(picture: np.ndarray) -> tuple[int, ...]:
    """Of the masks: HW or NHW."""
    return picture.shape if picture.ndim == 2 else picture.shape[:-1]


def hole_of(picture: np.ndarray, seed: int) -> np.ndarray:
    """Some pixels of each picture, not all of them, where it has several."""
    hole = np.random.default_rng(seed).random(sizes(picture)) < 0.4
    hole[..., 0, 0] = False
    return hole


def restored(*arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return RESTORER(*arguments)


def is_refused(call: Any, *arguments: Any) -> bool:
    try:
        call(*arguments)
    except (UserError, ValueError, TypeError) as error:
        assert 10 < len(str(error)) < 400
        assert "\n" not in str(error)
        assert " at 0x" not in str(error)
        return True
    return False


@pytest.mark.parametrize("count", COUNTS)
def test_masks_of_every_kind_say_the_same_or_are_refused(count):
    @inputs(count)
    @given(
        pictures(), st.integers(0, 99), st.sampled_from([*INTEGERS, "bool", "float16", "float32", "float64"]), st.data()
    )
    def check(picture, seed, kind, data):
        hole = hole_of(picture, seed)
        expected = restored(picture, hole)
        white = 1 if kind == "bool" else data.draw(st.sampled_from([1, 255, 65535, 7, 127, -1]))
        if kind != "bool" and not np.can_cast(np.min_scalar_type(white), kind) and kind != "float16":
            return
        mask = np.where(hole, white, 0).astype(kind)
        sound = white in {1, 255, 65535} and (white < 65535 or kind not in {"float16", "float32", "float64"})
        for given_mask in (mask, torch.from_numpy(mask)):
            if sound or not hole.any():
                assert np.array_equal(restored(picture, given_mask), expected)
            else:
                assert is_refused(restored, picture, given_mask)
        if kind.startswith("float") and mask.size:
            mask.flat[0] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, -0.5, 1.5]))
            assert is_refused(restored, picture, mask)

    check()


@pytest.mark.parametrize("count", COUNTS)
def test_pictures_come_out_as_what_they_were_and_equal_outside_the_mask(count):
    @inputs(count)
    @given(pictures(), st.integers(0, 99), st.booleans())
    def check(picture, seed, see_through):
        hole, before = hole_of(picture, seed), picture.copy()
        result = restored(picture, hole, see_through)
        assert (result.dtype, result.shape) == (picture.dtype, picture.shape)
        assert np.array_equal(result[~hole], before[~hole])
        assert np.isfinite(result).all()
        assert np.array_equal(picture, before)
        assert not np.shares_memory(result, picture)
        if picture.dtype == np.uint8 and picture.ndim < 4 and picture.shape[2:] != (1,):
            image = restored(Image.fromarray(picture), Image.fromarray(hole), see_through)
            assert np.array_equal(np.asarray(image), result)
        if picture.ndim > 2 and picture.dtype != np.uint16:
            tensor = restored(torch.from_numpy(picture).movedim(-1, -3), torch.from_numpy(hole), see_through)
            assert np.array_equal(tensor.movedim(-3, -1).numpy(), result)

    check()


@pytest.mark.parametrize("count", COUNTS)
def test_enlarged_pictures_are_what_they_were_with_longer_sides(count):
    @inputs(count)
    @given(pictures(), st.sampled_from([2, 3, 4]))
    def check(picture, factor):
        result = ENLARGER(picture, factor)
        assert result.dtype == picture.dtype
        assert sizes(result)[-2:] == tuple(side * factor for side in sizes(picture)[-2:])
        assert np.isfinite(result).all()
        if result.dtype == np.float32:
            assert 0 <= result.min() <= result.max() <= 1
        if picture.dtype == np.uint8 and picture.ndim < 4 and picture.shape[2:] != (1,):
            assert np.array_equal(np.asarray(ENLARGER(Image.fromarray(picture), factor)), result)
        if picture.ndim > 2 and picture.dtype != np.uint16:
            tensor = ENLARGER(torch.from_numpy(picture).movedim(-1, -3), factor)
            assert np.array_equal(tensor.movedim(-3, -1).numpy(), result)

    check()


@pytest.mark.parametrize("count", COUNTS)
def test_numbers_that_are_no_colours_are_missing_pixels_or_refused(count):
    @inputs(count)
    @given(
        pictures(), st.integers(0, 99), st.sampled_from([np.nan, np.inf, -np.inf, -0.01, 1.01, 255.0]), st.booleans()
    )
    def check(picture, seed, number, under_the_mask):
        floats, hole = picture.astype(np.float32) / max(1, picture.max()), hole_of(picture, seed)
        assert is_refused(ENLARGER, np.full_like(floats, number))
        chosen = hole if under_the_mask else ~hole
        if not chosen.any():
            return
        wrong = floats.copy()
        wrong[tuple(np.argwhere(chosen)[-1])] = number
        if under_the_mask and np.isnan(number):
            result = restored(wrong, hole)
            assert np.isfinite(result).all()
            assert np.array_equal(result[~hole], floats[~hole])
        else:
            assert is_refused(restored, wrong, hole)

    check()


@pytest.mark.parametrize("count", COUNTS)
def test_what_is_no_picture_or_no_mask_is_refused(count):
    @inputs(count)
    @given(
        pictures(), st.sampled_from(NEITHER), st.sampled_from(FOREIGN), st.sampled_from([0, 1, 5, 2.5, -2, None, "2"])
    )
    def check(picture, neither, kind, factor):
        hole = np.ones(sizes(picture), bool)
        hole[..., 0, 0] = False
        assert is_refused(restored, picture, neither)
        assert is_refused(restored, neither, hole)
        assert is_refused(ENLARGER, neither)
        assert is_refused(ENLARGER, picture, factor)
        foreign = np.zeros(picture.shape, kind)
        assert is_refused(restored, foreign, hole)
        assert is_refused(ENLARGER, foreign)
        assert is_refused(restored, picture, hole.astype(complex))
        assert is_refused(restored, picture, hole.astype(str))
        assert is_refused(restored, picture, hole[..., :-1])
        assert is_refused(restored, picture, hole[..., None, None])
        assert is_refused(restored, picture[..., :0], hole[..., :0])

    check()
