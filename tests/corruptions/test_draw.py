from collections import Counter

import numpy as np
import pytest

from pipeline.corruptions import draw
from pipeline.params import Weights
from pipeline.runtime.errors import UserError

from .made import PARAMS, picture


def weighted(**weights):
    zero = dict.fromkeys(Weights.model_fields, 0.0)
    return PARAMS.model_copy(update={"weights": Weights(**zero | weights)})


def test_labels_come_as_often_as_they_weigh():
    params = weighted(scratch=1.0, lowres=3.0)
    assert params.lowres.factors == [2, 4]
    rng = np.random.default_rng(0)
    counts = Counter(draw.draw_label(rng, params, with_silhouettes=True) for _ in range(2000))
    assert set(counts) == {"scratch", "lowres_x2", "lowres_x4"}
    for label in ("lowres_x2", "lowres_x4"):
        assert counts[label] / counts["scratch"] == pytest.approx(1.5, rel=0.2)


def test_a_seed_draws_the_labels_that_it_always_drew():
    rng = np.random.default_rng(0)
    drawn = [draw.draw_label(rng, PARAMS, with_silhouettes=True) for _ in range(8)]
    assert drawn == ["dust", "freeform", "occlusion", "occlusion", "crease", "text", "lowres_x4", "hair"]


def test_without_silhouettes_there_is_no_object():
    assert set(draw.weigh_labels(PARAMS, True)) - set(draw.weigh_labels(PARAMS, False)) == {"object"}
    mixed = PARAMS.mixed.model_copy(update={"kinds": ["stain", "object"]})
    params = weighted(object=1.0, mixed=1.0, stain=1.0).model_copy(update={"mixed": mixed})
    assert set(draw.weigh_labels(params, False)) == {"stain"}


@pytest.mark.parametrize("kind", ["occlusion", "freeform", "mixed"])
def test_holes_stay_below_the_largest(kind):
    params = PARAMS.model_copy(update={"max_hole": 0.15})
    for seed in range(20):
        _, mask = draw.corrupt(kind, picture(48, 48), np.random.default_rng(seed), params, None)
        assert mask.mean() <= 0.15


def test_a_hole_that_cannot_be_small_enough_is_one_line():
    occlusion = PARAMS.occlusion.model_copy(update={"side": [0.9, 1.0]})
    params = PARAMS.model_copy(update={"max_hole": 0.1, "occlusion": occlusion})
    with pytest.raises(UserError, match=r"^corrupt\.max_hole is 0\.1.*corrupt\.occlusion.*$"):
        draw.corrupt("occlusion", picture(32, 32), np.random.default_rng(0), params, None)


def test_of_two_corruptions_on_one_picture_both_are_named():
    kinds = PARAMS.mixed.model_copy(update={"kinds": ["occlusion", "freeform"]})
    occlusion = PARAMS.occlusion.model_copy(update={"side": [0.9, 1.0]})
    params = PARAMS.model_copy(update={"max_hole": 0.1, "occlusion": occlusion, "mixed": kinds})
    with pytest.raises(UserError, match=r"^corrupt\.max_hole is 0\.1.*corrupt\.occlusion, corrupt\.freeform smaller$"):
        draw.corrupt("mixed", picture(32, 32), np.random.default_rng(0), params, None)


def test_mixed_without_a_silhouette_has_no_object():
    mixed = PARAMS.mixed.model_copy(update={"kinds": ["scratch", "stain", "object"]})
    params = PARAMS.model_copy(update={"mixed": mixed})
    for seed in range(20):  # an object without a silhouette would fail
        draw.corrupt("mixed", picture(32, 32), np.random.default_rng(seed), params, None)


def damage(*shape):
    """A square hole of 4 px amid `shape`."""
    hole = np.zeros(shape, bool)
    hole[10:14, 10:14] = True
    return hole


def test_a_mask_reaches_beyond_the_damage_by_the_margin():
    params = PARAMS.model_copy(update={"margin": [0.05, 0.05]})
    mask, margin = draw.widen("stain", damage(40, 60), np.random.default_rng(0), params)
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    assert margin == 2 / 40
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (8, 15, 8, 15)


def test_margins_are_drawn_between_their_bounds():
    params = PARAMS.model_copy(update={"margin": [0.0, 0.1]})
    margins = {draw.widen("text", damage(40, 40), np.random.default_rng(seed), params)[1] for seed in range(60)}
    assert margins == {0, 1 / 40, 2 / 40, 3 / 40, 4 / 40}


def test_the_asked_share_of_masks_fits_exactly():
    half = PARAMS.model_copy(update={"exact": 0.5, "margin": [0.05, 0.1]})
    drawn = [draw.widen("text", damage(40, 40), np.random.default_rng(seed), half) for seed in range(200)]
    exact = [mask for mask, margin in drawn if margin == 0]
    assert 70 < len(exact) < 130
    assert all(np.array_equal(mask, damage(40, 40)) for mask in exact)


def test_a_margin_makes_no_hole_larger_than_allowed():
    params = PARAMS.model_copy(update={"margin": [0.2, 0.2], "max_hole": 0.05})
    mask, margin = draw.widen("hair", damage(40, 40), np.random.default_rng(0), params)
    assert 16 / 1600 < mask.mean() <= 0.05 and 0 < margin < 0.2


@pytest.mark.parametrize("label", ["speck", "lowres_x2"])
def test_single_pixels_and_whole_pictures_have_no_margin(label):
    params = PARAMS.model_copy(update={"margin": [0.1, 0.1]})
    mask, margin = draw.widen(label, damage(40, 40), np.random.default_rng(0), params)
    assert np.array_equal(mask, damage(40, 40)) and np.isnan(margin)


def test_a_label_of_no_kind_is_refused():
    with pytest.raises(KeyError, match="moth"):
        draw.corrupt("moth", picture(32, 32), np.random.default_rng(0), PARAMS, None)
