import numpy as np
import pytest

from pipeline.evaluation.baselines import BASELINES
from pipeline.evaluation.comparison import Comparison, width_of
from pipeline.metrics.image_quality import scores


def test_every_method_is_scored_on_every_pair_it_can_restore(comparison):
    methods = comparison.scores().groupby("image_id").method.apply(list)
    quick = [name for name, baseline in BASELINES.items() if not baseline.slow]
    for_task = {task: [name for name in quick if BASELINES[name].task == task] for task in ("restore", "superres")}
    assert methods[0] == methods[1] == [*for_task["restore"], "gan"]
    assert methods[2] == [*for_task["superres"], "gan"]


def test_a_slow_method_that_is_named_is_scored_too(comparison):
    comparison = Comparison(comparison.pairs, comparison.gan, comparison.radius, slow=["shift_map"])
    methods = comparison.scores().groupby("image_id").method.apply(list)
    assert "shift_map" in methods[0] and "fsr" not in methods[0]
    assert methods[2] == ["bicubic", "lanczos", "gan"]


def test_a_restoration_is_scored_against_the_original_of_its_own_pair(comparison):
    lines = comparison.scores().set_index(["image_id", "method"])
    for row, label in enumerate(comparison.labels):
        target, _, mask = comparison.pairs.pictures(row)
        assert lines.corruption[row, "gan"] == label
        assert lines.hole_area[row, "gan"] == mask.mean()
        restored = comparison.restorations(row)["gan"]
        for name, (expected,) in scores(restored[None], target[None], mask[None]).items():
            assert lines[name][row, "gan"] == pytest.approx(expected)


def test_two_workers_score_as_one(comparison, monkeypatch):
    alone = comparison.scores()
    monkeypatch.setenv("MENDLINE_WORKERS", "2")
    assert comparison.scores().equals(alone)


def test_a_mask_is_as_wide_as_where_it_is_widest_and_a_whole_picture_has_no_width():
    mask = np.zeros((40, 40), bool)
    mask[5:7] = True
    assert width_of(mask) == 2
    mask[20:30, 10:20] = True
    assert width_of(mask) == 10
    assert np.isnan(width_of(np.ones((40, 40), bool)))
