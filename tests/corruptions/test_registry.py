import numpy as np
import pytest
from hypothesis import given, settings

from pipeline.corruptions import draw
from pipeline.corruptions import object as cutout

from .made import PARAMS, disc, picture, pictures, seeds

KINDS = ["occlusion", "scratch", "stain", "freeform", "object", "mixed"]


def damaged(kind, image, seed):
    return draw.damage(kind, image, np.random.default_rng(seed), PARAMS, disc())


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(image=pictures, seed=seeds)
def test_only_the_hole_changes(kind, image, seed):
    if kind in ("object", "mixed") and not cutout.fits(disc(), PARAMS.object, *image.shape[:2]):
        return
    before = image.copy()
    corrupted, mask = damaged(kind, image, seed)
    assert corrupted.dtype == np.uint8 and corrupted.shape == image.shape
    assert mask.dtype == bool and mask.shape == image.shape[:2]
    assert 0 < mask.mean() <= PARAMS.max_hole
    assert np.array_equal(corrupted[~mask], image[~mask])
    assert np.array_equal(image, before)


@pytest.mark.parametrize("kind", [*KINDS, "lowres_x4"])
def test_same_seed_same_damage(kind):
    image = picture(64, 64)
    once, again, other = (damaged(kind, image, seed) for seed in (1, 1, 2))
    assert np.array_equal(once[0], again[0]) and np.array_equal(once[1], again[1])
    assert kind == "lowres_x4" or not np.array_equal(once[1], other[1])
