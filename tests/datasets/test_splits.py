import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.datasets.photos import Photo
from pipeline.datasets.splits import assign_splits, find_split
from pipeline.runtime.errors import UserError


def photo(image_id: int, fixed: str | None = None) -> Photo:
    return Photo(image_id, "some.zip", f"some/{image_id}.jpg", fixed)


MANY = [photo(image_id) for image_id in range(4000)]


@settings(deadline=None)
@given(st.sets(st.integers(0, 2**53)))
def test_more_photos_move_none(others):
    few, more = (
        assign_splits(MANY[:300], 0.2, 0.2),
        assign_splits(MANY[:300] + [photo(2**54 + other) for other in others], 0.2, 0.2),
    )
    assert all(set(few[name]) <= set(more[name]) for name in few)


def test_the_shares_are_about_as_asked():
    sizes = {name: len(members) / len(MANY) for name, members in assign_splits(MANY, 0.1, 0.3).items()}
    assert sizes == pytest.approx({"train": 0.6, "val": 0.1, "test": 0.3}, abs=0.03)


def test_every_photo_is_in_one_split():
    splits = assign_splits(MANY, 0.1, 0.1)
    assert sorted(photo.image_id for members in splits.values() for photo in members) == list(range(4000))


def test_a_photo_falls_where_it_always_fell():
    splits = assign_splits(MANY[:60], 0.1, 0.1)
    assert {name: [photo.image_id for photo in splits[name]] for name in ("val", "test")} == {
        "val": [3, 6, 7, 43],
        "test": [8, 18, 34, 40, 44, 52],
    }


def test_the_source_may_fix_the_split():
    assert {find_split(photo(image_id, "test"), 0.1, 0.1) for image_id in range(50)} == {"test"}


def test_a_larger_val_takes_from_train_alone():
    small, large = assign_splits(MANY, 0.1, 0.1), assign_splits(MANY, 0.3, 0.1)
    assert small["test"] == large["test"]
    assert set(small["val"]) < set(large["val"])


def test_a_split_without_photos_is_one_line():
    with pytest.raises(UserError, match=r"^none of the 1 photos falls to \w+; get more photos, or .*corrupt\.\w+$"):
        assign_splits(MANY[:1], 0.1, 0.1)
