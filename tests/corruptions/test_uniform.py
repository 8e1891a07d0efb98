import numpy as np

from pipeline.corruptions.uniform import draw_amount, draw_count


def test_both_bounds_are_drawn():
    rng = np.random.default_rng(0)
    assert {draw_count(rng, [2, 4]) for _ in range(100)} == {2, 3, 4}
    assert draw_count(rng, [3, 3]) == 3


def test_amounts_lie_between():
    rng = np.random.default_rng(0)
    drawn = [draw_amount(rng, [0.5, 1.5]) for _ in range(200)]
    assert 0.5 <= min(drawn) < 0.55 and 1.45 < max(drawn) <= 1.5
    assert draw_amount(rng, [0.7, 0.7]) == 0.7
