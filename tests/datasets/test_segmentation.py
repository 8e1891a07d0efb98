import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from pipeline.datasets import segmentation

HEIGHT, WIDTH = 60, 80
SQUARE = np.zeros((HEIGHT, WIDTH), np.uint8)
SQUARE[10:50, 20:70] = 1
POLYGON = [20, 10, 70, 10, 70, 50, 20, 50]
TEXT = coco_mask.encode(np.asfortranarray(SQUARE))["counts"].decode()


def runs(mask: np.ndarray) -> list[int]:
    flat = np.concatenate([[0], mask.flatten(order="F")])
    edges = np.flatnonzero(np.diff(flat))
    return np.diff([0, *edges, flat.size - 1]).tolist()


def fault(given) -> str:
    return segmentation.find_fault(given, HEIGHT, WIDTH)


def sized(counts, size=(HEIGHT, WIDTH)) -> dict:
    return {"size": list(size), "counts": counts}


@pytest.mark.parametrize(
    "given",
    [
        [POLYGON],
        [[float(number) for number in POLYGON]],
        [[-3, 10, 70, 10, 70, 63, -3, 63], POLYGON],
        sized(TEXT),
        sized(runs(SQUARE)),
        sized([float(run) for run in runs(SQUARE)], (60.0, 80.0)),
    ],
)
def test_what_coco_has_is_an_outline(given):
    assert fault(given) == ""
    assert coco_mask.decode(segmentation.run_lengths(given, HEIGHT, WIDTH))[SQUARE > 0].all()


@settings(deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(0, 1)))
def test_both_kinds_of_run_lengths_give_the_mask_that_was_encoded(mask):
    text = coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
    for counts in (text, runs(mask)):
        found = segmentation.run_lengths(sized(counts, mask.shape), *mask.shape)
        assert np.array_equal(coco_mask.decode(found), mask)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "no segmentation"),
        ([], "no segmentation"),
        ({}, "no segmentation"),
        ("POLYGON ((0 0, 1 1))", "expected polygons or run lengths"),
        (7, "expected polygons or run lengths"),
        (POLYGON, "a polygon is 20"),
        ([[[20, 10], [70, 10], [70, 50]]], r"a coordinate is \[20, 10\]"),
        ([[]], "a polygon has 0 numbers"),
        ([[20, 10]], "a polygon has 2 numbers"),
        ([[20, 10, 50, 40]], "a polygon has 4 numbers"),
        ([POLYGON, [20, 10, 50, 40]], "a polygon has 4 numbers"),
        ([[*POLYGON, 5]], "a polygon has 9 numbers"),
        ([[None, *POLYGON[1:]]], "a coordinate is None"),
        ([["20", *POLYGON[1:]]], "a coordinate is '20'"),
        ([[True, *POLYGON[1:]]], "a coordinate is True"),
        ([[sized([HEIGHT * WIDTH])]], "a coordinate is {"),
        ([sized([HEIGHT * WIDTH])], "a polygon is {"),
        *(
            ([[*POLYGON[:place], number, *POLYGON[place + 1 :]]], "far outside")
            for number in (float("nan"), float("inf"), -float("inf"), 4e8, -1e9, 10**400, -81, 161)
            for place in (0, 3)
        ),
        ([[float("nan"), 10**400, *POLYGON[2:]]], "far outside"),
        ([[0, 0, 80, 60] * 10_000], "px long"),
        ([POLYGON] * 10_001, "10001 polygons"),
        ({"counts": [4800]}, "the size None"),
        (sized([0], (0, 0)), r"the size \[0, 0\]; expected \[60, 80\]"),
        (sized([4800], (80, 60)), r"the size \[80, 60\]"),
        (sized([10**12], (10**6, 10**6)), "the size"),
        (sized(None), "counts are None"),
        (sized({}), "counts are {}"),
        (sized([]), "sum to 0"),
        (sized([2000, 2799]), "sum to 4799"),
        (sized([4801]), "a run length is 4801"),
        (sized([-1, 4801]), "a run length is -1"),
        (sized([0.5, 4799.5]), "a run length is 0.5"),
        (sized([float("nan"), 4800]), "a run length is nan"),
        (sized([None, 4800]), "a run length is None"),
        (sized(TEXT[:-1]), "run length|cut off"),
        (sized(TEXT[:-2]), "run length|cut off"),
        (sized(TEXT + "1"), "run length|sum"),
        (sized(TEXT + "\n"), "out of place"),
        (sized(TEXT + "\0"), "out of place"),
        (sized(TEXT + "\u00e9"), "out of place"),
        (sized(TEXT + "o"), "cut off"),
        (sized("o" * 100_000), "out of place"),
        (sized("abc"), "run length|sum|cut off"),
    ],
)
def test_what_is_no_outline_is_told_in_a_short_line_and_never_reaches_pycocotools(given, reason, monkeypatch):
    monkeypatch.setattr(segmentation, "coco_mask", None)  # which would take all memory
    with pytest.raises(ValueError, match=reason) as refusal:
        segmentation.run_lengths(given, HEIGHT, WIDTH)
    assert fault(given) == str(refusal.value)
    assert "\n" not in fault(given) and len(fault(given)) < 250


def test_a_photo_beyond_what_can_be_read_has_no_outline():
    assert "the limit is" in segmentation.find_fault(sized([10**12], (10**6, 10**6)), 10**6, 10**6)
