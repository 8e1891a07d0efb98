import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.params import Coco
from pipeline.runtime.errors import UserError
from pipeline.sources.coco import selection
from tests.sources.coco.host import dataset

DATASETS = {"train2017": dataset(range(1, 41)), "val2017": dataset(range(100, 121), width=40, height=30)}


def chosen(**wishes) -> set[int]:
    return {image["id"] for cut in cuts(**wishes).values() for image in cut["images"]}


def cuts(**wishes) -> dict[str, dict]:
    defaults = {"base_url": "", "split": "both", "limit": 0, "categories": [], "licenses": [], "min_size": 0}
    return selection.choose(Coco(**(defaults | wishes)), DATASETS)


def test_no_limit_takes_all():
    assert chosen() == {*range(1, 41), *range(100, 121)}


FILTERS = st.fixed_dictionaries(
    {}, optional={"licenses": st.just([1, 3]), "categories": st.just(["person"]), "min_size": st.just(30)}
)


@given(FILTERS, st.integers(1, 61), st.integers(1, 61))
def test_a_sample_grows_with_its_limit_over_both_splits_whatever_else_is_asked(filters, some, more):
    few, many = sorted((some, more))
    whole = chosen(**filters)
    assert len(chosen(**filters, limit=few)) == min(few, len(whole))
    assert chosen(**filters, limit=few) <= chosen(**filters, limit=many) <= whole


def test_a_sample_is_not_of_the_lowest_ids_but_always_the_same():
    assert chosen(limit=8) == {3, 15, 25, 27, 28, 38, 108, 120}


@pytest.mark.parametrize(("min_size", "count"), [(8, 61), (9, 21), (30, 21)])
def test_the_shorter_side_has_the_pixels_asked_for(min_size, count):
    assert len(chosen(min_size=min_size)) == count


def test_a_photo_with_any_of_the_categories_is_taken():
    assert chosen(categories=["person", "cat"]) == {i for i in chosen() if i % 3 in (0, 1)}


def test_a_photo_with_any_of_the_licenses_is_taken():
    assert chosen(licenses=[1, 3]) == {i for i in chosen() if i % 3 in (0, 2)}


def test_all_annotations_of_a_chosen_photo_are_kept_and_no_others():
    for split, cut in cuts(categories=["dog"]).items():
        assert {a["category_id"] for a in cut["annotations"]} == {2, 3}
        assert {a["image_id"] for a in cut["annotations"]} == {image["id"] for image in cut["images"]}
        for key in ("licenses", "categories", "info"):
            assert cut[key] == DATASETS[split][key]


def test_a_split_without_chosen_photos_is_left_out():
    assert len(cuts(limit=1)) == 1


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"categories": ["dgo"]}, "no category 'dgo'; did you mean 'dog'"),
        ({"categories": ["Person"]}, "did you mean 'person'"),
        ({"categories": ["dog", "zebra"]}, "no photo of train2017, val2017 shows a 'zebra'"),
        ({"licenses": [8]}, r"no photo of both has all of: licenses \[8\]; ask for less"),
        ({"min_size": 31}, "no photo of both has all of: min_size 31"),
        ({"categories": ["dog"], "licenses": [1]}, r"has all of: categories \['dog'\], licenses \[1\]"),
    ],
)
def test_a_choice_without_photos_is_refused(wishes, message):
    with pytest.raises(UserError, match=message):
        chosen(**wishes)


def test_a_long_name_is_told_in_a_short_line(monkeypatch):
    monkeypatch.setitem(DATASETS, "val2017", DATASETS["val2017"] | {"categories": [{"id": 1, "name": "dog" * 9999}]})
    monkeypatch.setitem(DATASETS, "train2017", DATASETS["train2017"] | {"categories": []})
    with pytest.raises(UserError, match=r"no category 'dgo'; did you mean 'dogdog") as refusal:
        chosen(categories=["dgo"])
    assert len(str(refusal.value)) < 250


def test_annotations_without_categories_are_named_as_such(monkeypatch):
    monkeypatch.setitem(DATASETS, "train2017", DATASETS["train2017"] | {"categories": []})
    monkeypatch.setitem(DATASETS, "val2017", DATASETS["val2017"] | {"categories": []})
    with pytest.raises(UserError, match=r"no category 'dog'; the annotations have none$"):
        cuts(categories=["dog"])
