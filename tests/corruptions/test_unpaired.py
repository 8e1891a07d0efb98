from pathlib import Path

import numpy as np
import pytest

from pipeline.corruptions import unpaired
from pipeline.corruptions.renderings import render
from pipeline.datasets import pairs, photos
from pipeline.datasets.domains import View
from pipeline.datasets.photos import Photo
from pipeline.params import Weights
from pipeline.runtime.errors import UserError
from tests.corruptions.made import PARAMS, picture

STORE = Path("store")
PHOTOS = {number: picture(60 + number, 90) for number in range(60)}


def photo(number: int) -> Photo:
    return Photo(number, "a.zip", f"a/{number}.png", None)


@pytest.fixture(autouse=True)
def stored(monkeypatch):
    monkeypatch.setattr(photos, "read", lambda folder, photo: PHOTOS[photo.image_id])


def params(**domains):
    return PARAMS.model_copy(
        update={
            "domains": PARAMS.domains.model_copy(update=domains),
            "weights": PARAMS.weights.model_copy(update={"lowres": 0.0}),
            "image_size": 32,
            "variants": 2,
        }
    )


def decoded(made: list[pairs.Pair]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return [(pairs.decode(one.target), pairs.decode(one.corrupted), pairs.decode(one.mask)) for one in made]


def make(split: str, source: View, target: View, **domains) -> list[pairs.Pair]:
    return unpaired.make_pairs(STORE, unpaired.Job(split, 0, source, target), params(**domains))


def splits() -> dict[str, list[Photo]]:
    return {
        "train": [photo(number) for number in range(50)],
        "val": [photo(number) for number in range(50, 55)],
        "test": [photo(number) for number in range(55, 60)],
    }


def test_the_pictures_of_train_are_of_different_photos_and_those_of_test_of_one():
    jobs = unpaired.plan(STORE, splits(), params(by="rendering"))
    sources, targets = ({getattr(job, side).photo.image_id for job in jobs["train"]} for side in ("source", "target"))
    assert not sources & targets and sources | targets == set(range(50))
    for split, own in jobs.items():
        assert all((job.source == job.target) == (split != "train") for job in own)


def test_no_two_pairs_of_a_photo_have_the_same_variant(monkeypatch):
    instances = [View(photo(1), (0.0, 0.0, 40.0, 40.0)), View(photo(1), (30.0, 9.0, 40.0, 40.0)), View(photo(2))]
    pair = instances, [View(photo(number)) for number in range(10, 15)]
    monkeypatch.setattr(unpaired.domains, "assign", lambda *_: {"test": pair})
    jobs = unpaired.plan(STORE, {}, params(by="folders"))
    made = [one for job in jobs["test"] for one in unpaired.make_pairs(STORE, job, params(by="folders"))]
    assert [(one.image_id, one.variant) for one in made][:6] == [(1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1)]
    assert len({(one.image_id, one.variant) for one in made}) == len(made) == 10


def test_a_test_pair_is_a_picture_and_its_rendering():
    view = View(photo(3))
    made = make("test", view, view, by="rendering", rendering="sketch")
    assert [one.corruption for one in made] == ["sketch", "sketch"] and [one.variant for one in made] == [0, 1]
    for target, image, mask in decoded(made):
        assert np.array_equal(target, render("sketch", image)) and mask.min() == 255
    assert made == make("test", view, view, by="rendering", rendering="sketch")


def test_a_train_pair_is_of_two_photos():
    for target, image, mask in decoded(make("train", View(photo(3)), View(photo(4)), by="rendering")):
        assert not np.array_equal(target, render(PARAMS.domains.rendering, image))
        assert target.shape == image.shape == (32, 32, 3) and mask.min() == 255


def test_damage_is_on_the_first_domain_alone_and_the_test_pairs_say_where():
    view = View(photo(3))
    for target, image, mask in decoded(make("test", view, view, by="damage")):
        assert np.array_equal(target[mask == 0], image[mask == 0]) and 0 < (mask > 0).mean() < 1
    ((target, _, mask), _) = decoded(make("train", view, View(photo(4)), by="damage"))
    assert mask.min() == 255 and target.std() > 5


def test_an_instance_is_cut_out_with_room_round_it():
    PHOTOS[59][:] = 0
    PHOTOS[59][30:50, 40:60] = 255
    view = View(photo(59), (40.0, 30.0, 20.0, 20.0))
    cut = {
        room: unpaired.cut(STORE, view, "test", np.random.default_rng(0), params(by="categories", room=room))
        for room in (0.0, 1.0)
    }
    assert cut[0.0].mean() > 250
    assert cut[1.0].mean() == pytest.approx(255 / 4, abs=12)
    assert cut[1.0][:4].max() < 40


def test_an_instance_at_the_edge_is_cut_out_inside_the_photo():
    view = View(photo(3), (0.0, 0.0, 88.0, 62.0))
    assert unpaired.cut(STORE, view, "train", np.random.default_rng(0), params(by="categories")).shape == (32, 32, 3)


def test_damage_needs_a_kind_that_needs_no_silhouette():
    weights = Weights(**dict.fromkeys(Weights.model_fields, 0.0) | {"object": 1.0})
    alone = params(by="damage").model_copy(update={"weights": weights})
    with pytest.raises(UserError, match=r"corrupt.weights: none but object is above 0; corrupt.domains.by damage"):
        unpaired.plan(STORE, splits(), alone)
