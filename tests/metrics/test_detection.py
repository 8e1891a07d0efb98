import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.metrics import detection


def line(row: int, first: int = 0, last: int = 40) -> np.ndarray:
    mask = np.zeros((40, 40), bool)
    mask[row, first:last] = True
    return mask


@pytest.mark.parametrize(("off", "f1"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_what_is_two_pixels_beside_the_damage_counts_as_found_and_no_more(off, f1):
    assert detection.f1(line(20 + off), line(20)) == f1


def test_precision_is_of_what_was_found_and_recall_of_the_damage():
    found = line(20, 0, 20) | line(5)
    precision, recall = detection.precision_and_recall(found, line(20), detection._near(line(20)))
    assert precision == pytest.approx(20 / 60)
    assert recall == pytest.approx(22 / 40)  # and the two beside its end
    assert detection.f1(found, line(20)) == pytest.approx(2 * precision * recall / (precision + recall))


def test_who_finds_nothing_has_no_precision_and_nothing_else():
    scores = detection.scores(np.zeros((40, 40)), line(20))
    assert np.isnan(scores.pop("precision"))
    assert scores == {"recall": 0, "f1": 0, "ap": 0}


def test_what_is_above_the_threshold_is_found():
    probability = np.where(line(20), 0.51, np.where(line(5), 0.5, 0.0))
    assert detection.scores(probability, line(20)) == {"precision": 1, "recall": 1, "f1": 1, "ap": 1}


def test_average_precision_rewards_who_is_surer_where_it_is_right():
    damage = line(20)
    right_first = np.where(damage, 0.9, np.where(line(5), 0.3, 0.0))
    wrong_first = np.where(damage, 0.3, np.where(line(5), 0.9, 0.0))
    assert detection.scores(right_first, damage)["ap"] == pytest.approx(1)
    assert detection.scores(wrong_first, damage)["ap"] == pytest.approx(0.5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.01, 0.3, 1.0]))
def test_every_score_is_a_share_and_the_damage_itself_is_perfect(seed, share):
    rng = np.random.default_rng(seed)
    damage = rng.random((24, 24)) < share
    damage[3, 4] = True
    assert set(detection.scores(damage.astype(float), damage).values()) == {1.0}
    scores = detection.scores(rng.random((24, 24)), damage)
    assert all(0 <= value <= 1 for value in scores.values())
