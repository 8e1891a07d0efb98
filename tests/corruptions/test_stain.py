import numpy as np
import pytest

from pipeline.corruptions import stain

from .made import PARAMS

GREEN = np.full((128, 128, 3), (0, 255, 0), np.uint8)


def stained(seed, **update):
    params = PARAMS.stain.model_copy(update={"count": [1, 1], "radius": [0.2, 0.2]} | update)
    return stain.corrupt(GREEN, np.random.default_rng(seed), params)


@pytest.mark.parametrize("seed", range(6))
def test_the_edge_is_soft(seed):
    corrupted, mask = stained(seed, opacity=[0.9, 0.9])
    change = np.abs(corrupted.astype(int) - GREEN).max(axis=2)
    inner = np.pad(mask, 1)
    eroded = inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    assert np.median(change[mask & ~eroded]) < 0.5 * change.max()


@pytest.mark.parametrize("seed", range(6))
def test_the_picture_shines_through(seed):
    corrupted, _ = stained(seed, opacity=[0.5, 0.5])
    assert corrupted[..., 1].min() > 60


def test_opacity_hides_the_picture():
    faint, strong = (
        np.mean([np.abs(stained(seed, opacity=[o, o])[0].astype(int) - GREEN).mean() for seed in range(10)])
        for o in (0.2, 0.9)
    )
    assert strong > 3 * faint


def test_a_blotch_is_as_large_as_asked():
    areas = [stained(seed, radius=[0.1, 0.1])[1].sum() / (np.pi * 12.8**2) for seed in range(60)]
    assert 0.3 < np.mean(areas) < 1.7


def test_blotches_are_irregular():
    _, mask = stained(1)
    y, x = np.nonzero(mask)
    distance = np.hypot(y - y.mean(), x - x.mean())
    assert distance.max() > 1.1 * np.sqrt(mask.sum() / np.pi)
