import numpy as np
import pytest

from pipeline.corruptions import crease

from .made import PARAMS

DARK = np.full((96, 128, 3), 20, np.uint8)


def creased(seed, **update):
    return crease.corrupt(DARK, np.random.default_rng(seed), PARAMS.crease.model_copy(update=update))


@pytest.mark.parametrize("seed", range(10))
def test_a_crease_goes_from_edge_to_edge(seed):
    _, mask = creased(seed, count=[1, 1])
    edges = [mask[0], mask[-1], mask[:, 0], mask[:, -1]]
    assert sum(edge.any() for edge in edges) >= 1
    rows, columns = np.nonzero(mask)
    whole = np.ptp(rows) == 95 or np.ptp(columns) == 127
    assert whole or sum(edge.any() for edge in edges) >= 2  # or it cuts a corner


@pytest.mark.parametrize("seed", range(10))
def test_light_paper_shows(seed):
    corrupted, mask = creased(seed, width=[0.05, 0.05])
    assert np.median(corrupted[mask]) > 150


def test_a_wider_crease_touches_more():
    thin, wide = (np.mean([creased(s, count=[1, 1], width=[w, w])[1].mean() for s in range(15)]) for w in (0.01, 0.05))
    assert 2.5 < wide / thin < 8
