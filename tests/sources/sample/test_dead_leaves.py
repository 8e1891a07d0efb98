import cv2
import numpy as np
import pytest

from pipeline.sources.sample import dead_leaves

PALETTE = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [230, 230, 230]], np.uint8)


def draw(seed: int, size: int = 64) -> tuple[np.ndarray, list[dead_leaves.Instance]]:
    return dead_leaves.draw(size, PALETTE, np.random.default_rng(seed))


@pytest.mark.parametrize("size", [32, 33, 100])
def test_a_picture_has_its_size_and_is_covered(size):
    picture, _ = draw(1, size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    assert picture.max(axis=2).min() > 5  # the palette has no black


def test_the_same_seed_draws_the_same_picture_and_another_one_another():
    assert np.array_equal(draw(1)[0], draw(1)[0])
    assert not np.array_equal(draw(1)[0], draw(2)[0])


def test_radii_have_a_density_of_the_power_minus_three():
    # P(r > 2a) = P(r > a) / 4 far below the largest; leaves out those that do not touch the picture
    radius = np.concatenate([dead_leaves._throw(1000, 8, np.random.default_rng(seed)).radius for seed in range(20)])
    touching = (1000 + 2 * radius) ** 2
    weight = 1 / touching
    shares = [weight[radius > 8 * 2**octave].sum() / weight.sum() for octave in range(4)]
    np.testing.assert_allclose(shares, [1, 1 / 4, 1 / 16, 1 / 64], rtol=0.15)


def test_instances_are_the_largest_leaves_and_do_not_overlap():
    for seed in range(5):
        picture, instances = draw(seed, 128)
        areas = [instance.area for instance in instances]
        assert areas == sorted(areas, reverse=True)
        assert all(area >= dead_leaves.AREA * picture[..., 0].size for area in areas)
        drawn = [np.zeros(picture.shape[:2], np.uint8) for _ in instances]
        for mask, instance in zip(drawn, instances, strict=True):
            cv2.fillPoly(mask, [outline.astype(np.int32) for outline in instance.outlines], 1)
            assert mask.sum() > 0.8 * instance.area
        assert (np.sum([cv2.erode(mask, np.ones((3, 3))) for mask in drawn], axis=0) <= 1).all()


def test_every_shape_is_annotated_somewhere():
    assert {instance.shape for seed in range(8) for instance in draw(seed)[1]} == set(dead_leaves.SHAPES)
