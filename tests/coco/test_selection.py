import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.coco import selection
from pipeline.errors import UserError
from pipeline.params import Coco
from tests.coco.host import dataset

DATASETS = {"train2017": dataset(range(1, 41)), "val2017": dataset(range(100, 121))}


def chosen(**wishes) -> set[int]:
    coco = Coco(**({"base_url": "", "split": "both", "limit": 0, "categories": [], "licenses": []} | wishes))
    return {image["id"] for cut in selection.choose(coco, DATASETS).values() for image in cut["images"]}


def test_no_limit_takes_all():
    assert chosen() == {*range(1, 41), *range(100, 121)}


@given(st.integers(1, 61), st.integers(1, 61))
def test_a_sample_grows_with_its_limit_over_both_splits(some, more):
    few, many = sorted((some, more))
    assert len(chosen(limit=few)) == few
    assert chosen(limit=few) <= chosen(limit=many)


def test_a_photo_with_any_of_the_categories_is_taken():
    assert chosen(categories=["person", "cat"]) == {i for i in chosen() if i % 3 in (0, 1)}


def test_a_photo_with_any_of_the_licenses_is_taken():
    assert chosen(licenses=[1, 3]) == {i for i in chosen() if i % 3 in (0, 2)}


def test_all_annotations_of_a_chosen_photo_are_kept_and_no_others():
    coco = Coco(base_url="", split="both", limit=0, categories=["dog"], licenses=[])
    for split, cut in selection.choose(coco, DATASETS).items():
        assert {a["category_id"] for a in cut["annotations"]} == {2, 3}
        assert {a["image_id"] for a in cut["annotations"]} == {image["id"] for image in cut["images"]}
        for key in ("licenses", "categories", "info"):
            assert cut[key] == DATASETS[split][key]


def test_a_split_without_chosen_photos_is_left_out():
    coco = Coco(base_url="", split="both", limit=1, categories=[], licenses=[])
    assert len(selection.choose(coco, DATASETS)) == 1


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"categories": ["dgo"]}, "no category 'dgo'; did you mean dog"),
        ({"categories": ["Person"]}, "did you mean person"),
        ({"categories": ["dog", "zebra"]}, "no photo of train2017, val2017 shows a 'zebra'"),
        ({"licenses": [8]}, "no photo of both has any of the licenses"),
        ({"categories": ["dog"], "licenses": [1]}, "and any of the categories"),
    ],
)
def test_a_choice_without_photos_is_refused(wishes, message):
    with pytest.raises(UserError, match=message):
        chosen(**wishes)
