import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.images import grid
from pipeline.images.grid import evenly_spaced

RED = np.full((40, 60, 3), (200, 0, 0), np.uint8)
GREY = np.full((40, 60), 77, np.uint8)


def count(image, color):
    return (np.asarray(image) == color).all(axis=2).sum()


@pytest.mark.parametrize("rows", [1, 2, 7, 30])
@pytest.mark.parametrize("labels", [True, False])
def test_every_picture_is_there_whole(rows, labels):
    image = grid.image_grid([[RED, GREY]] * rows, ["red", "grey"], ["label"] * rows if labels else None)
    assert image.mode == "RGB"
    assert count(image, (200, 0, 0)) == rows * 40 * 60
    assert count(image, (77, 77, 77)) >= rows * 40 * 60  # the text has greys of its own


def test_many_rows_make_a_sheet_near_a_square():
    image = grid.image_grid([[RED, GREY]] * 30, ["red", "grey"])
    assert 0.7 < image.width / image.height < 1.4


def test_titles_and_labels_are_written():
    bare, titled, labelled = (
        grid.image_grid([[RED]], [title], labels) for title, labels in ((" ", None), ("title", None), (" ", ["label"]))
    )
    assert count(bare, (0, 0, 0)) == 0
    assert count(titled, (0, 0, 0)) > 0 and count(labelled, (0, 0, 0)) > 0


def test_long_titles_do_not_overlap():
    tiny = np.zeros((8, 8, 3), np.uint8)
    image = grid.image_grid([[tiny, tiny]], ["a long title", "another long title"])
    assert image.width > 200


@given(count=st.integers(1, 50), wanted=st.integers(1, 60))
def test_a_spread_is_in_order_without_repeats_and_reaches_far(count, wanted):
    chosen = evenly_spaced(range(count), wanted)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(wanted, count)
    assert wanted == 1 or chosen[-1] == count - 1
