from typing import get_args

import numpy as np

from pipeline.metrics import detection
from pipeline.metrics.image_quality import scores
from pipeline.metrics.registry import DETECTION, METRICS, RESTORATION
from pipeline.params import Champion


def test_the_table_names_what_is_scored_and_what_a_champion_may_be_chosen_by():
    picture = np.zeros((1, 16, 16, 3), np.uint8)
    everywhere = np.ones((16, 16), bool)
    assert list(RESTORATION) == list(scores(picture, picture, everywhere[None]))
    assert list(DETECTION) == list(detection.scores(everywhere.astype(float), everywhere))
    assert list(METRICS) == list(get_args(Champion.model_fields["metric"].annotation))


def test_a_title_has_the_unit_where_there_is_one():
    assert METRICS["psnr"].title == "PSNR (dB)"
    assert METRICS["ssim"].title == "SSIM"


def test_a_better_picture_has_a_better_score():
    rng = np.random.default_rng(0)
    target = rng.integers(60, 190, (1, 32, 32, 3), dtype=np.uint8)
    near, far = (target + rng.integers(0, noise, target.shape, dtype=np.uint8) for noise in (5, 60))
    better, worse = (scores(picture, target, np.ones((1, 32, 32), bool)) for picture in (near, far))
    for name, metric in RESTORATION.items():
        assert (better[name] > worse[name]) == metric.higher_is_better
