import numpy as np

from pipeline.corruptions import mixed

from .made import PARAMS, picture


def test_mixed_holds_two_kinds():
    params = PARAMS.model_copy(update={"mixed": PARAMS.mixed.model_copy(update={"kinds": ["scratch", "freeform"]})})
    image = np.full((96, 96, 3), (200, 30, 30), np.uint8)
    corrupted, mask = mixed.corrupt(image, np.random.default_rng(3), params, None)
    painted = np.isin(corrupted, (128, 255)).all(axis=2)
    assert painted.any() and (mask & ~painted).any()


def test_mixed_without_a_silhouette_has_no_object():
    params = PARAMS.model_copy(
        update={"mixed": PARAMS.mixed.model_copy(update={"kinds": ["scratch", "stain", "object"]})}
    )
    assert set(mixed.kinds(params, with_object=False)) == {"scratch", "stain"}
    for seed in range(10):
        mixed.corrupt(picture(32, 32), np.random.default_rng(seed), params, None)
