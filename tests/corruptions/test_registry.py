from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings

from pipeline.corruptions import draw
from pipeline.corruptions import object as cutout
from pipeline.corruptions.labels import factor_of, name_of, task_of
from pipeline.corruptions.registry import CORRUPTIONS, labels_of
from pipeline.params import Corrupt, HoleCorruption, Weights
from pipeline.tasks import TASKS

from .made import PARAMS, disc, picture, pictures, seeds

LABELS = [label for kind in CORRUPTIONS for label in labels_of(kind, PARAMS)]
HOLES = [kind for kind, corruption in CORRUPTIONS.items() if not corruption.has_factors]


def corrupt(label, image, seed):
    return draw.corrupt(label, image, np.random.default_rng(seed), PARAMS, disc())


def test_the_parameters_know_the_same_corruptions():
    assert set(CORRUPTIONS) == set(Weights.model_fields)
    assert set(CORRUPTIONS) <= set(Corrupt.model_fields)  # a section each
    assert {kind for kind in HOLES if CORRUPTIONS[kind].takes_margin and not CORRUPTIONS[kind].combines} == set(
        get_args(HoleCorruption)
    )


def test_a_label_names_its_kind_and_factor():
    kinds = {"stain": "stain", "mixed": "mixed", "lowres_x2": "lowres", "lowres_x8": "lowres"}
    assert {label: name_of(label) for label in kinds} == kinds
    assert [factor_of(label) for label in labels_of("lowres", PARAMS)] == PARAMS.lowres.factors == [2, 4]


def test_what_is_learnt_from_each_is_a_task():
    assert {corruption.task for corruption in CORRUPTIONS.values()} <= set(TASKS)


@pytest.mark.parametrize("label", LABELS)
def test_a_label_tells_the_task(label):
    assert task_of(label) == CORRUPTIONS[name_of(label)].task


@pytest.mark.parametrize("kind", HOLES)
@settings(max_examples=40, deadline=None)
@given(image=pictures, seed=seeds)
def test_only_the_hole_changes(kind, image, seed):
    if kind in ("object", "mixed") and not cutout.fits(disc(), PARAMS.object, *image.shape[:2]):
        return
    before = image.copy()
    corrupted, mask = corrupt(kind, image, seed)
    assert corrupted.dtype == np.uint8 and corrupted.shape == image.shape
    assert mask.dtype == bool and mask.shape == image.shape[:2]
    assert 0 < mask.mean() <= PARAMS.max_hole
    assert np.array_equal(corrupted[~mask], image[~mask])
    assert np.array_equal(image, before)


@pytest.mark.parametrize("label", LABELS)
def test_same_seed_same_damage(label):
    image = picture(64, 64)
    once, again, other = (corrupt(label, image, seed) for seed in (1, 1, 2))
    assert np.array_equal(once[0], again[0]) and np.array_equal(once[1], again[1])
    assert label not in HOLES or not np.array_equal(once[1], other[1])


@pytest.mark.parametrize("label", [label for label in LABELS if label not in HOLES])
def test_all_of_a_picture_is_to_be_sharpened_whatever_the_largest_hole(label):
    corrupted, mask = corrupt(label, picture(64, 64), 0)
    assert mask.all() and corrupted.std() < picture(64, 64).std()
