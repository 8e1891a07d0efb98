import json

import numpy as np
import pytest

from pipeline.corruptions import lowres
from pipeline.datasets import pairs
from pipeline.evaluation import comparison, figures
from pipeline.evaluation.baselines import mean_fill, untouched


@pytest.fixture
def contest(tmp_path) -> comparison.Comparison:
    """Two pairs with a hole of a quarter and one of low resolution; the "GAN" is mean fill, or does nothing."""

    def made():
        for number, kind in enumerate(["stain", "stain", "lowres_x2"]):
            rng = np.random.default_rng(number)
            target = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            mask = np.zeros((32, 32), bool)
            mask[:16, :16] = True
            corrupted = np.where(mask[..., None], target // 2, target)
            if kind == "lowres_x2":
                corrupted, mask = lowres.corrupt(target, 2)
            encoded = [pairs.encode(picture) for picture in (target, corrupted, mask.astype(np.uint8) * 255)]
            yield pairs.Pair(number, 0, kind, number, float(mask.mean()), *encoded)

    pairs.write(tmp_path / "pairs", "test", made())
    store = pairs.Pairs(tmp_path / "pairs", "test")
    return comparison.Comparison(
        store, lambda image, mask: (untouched if mask.all() else mean_fill)(image, mask), radius=3
    )


def test_every_method_is_scored_on_every_pair_it_can_restore(contest):
    methods = contest.scores().groupby("image_id").method.apply(set)
    assert (
        methods[0]
        == methods[1]
        == {"untouched", "mean", "telea", "navier_stokes", "biharmonic", "harmonic", "plate", "gan"}
    )
    assert methods[2] == {"bicubic", "lanczos", "gan"}


def test_the_tables_agree_with_the_scores(contest):
    table = contest.scores()
    by_corruption = comparison.by_corruption(table).set_index(["corruption", "method"])
    stained = table[(table.corruption == "stain") & (table.method == "telea")]
    assert by_corruption.psnr["stain", "telea"] == pytest.approx(stained.psnr.mean(), abs=1e-4)
    assert by_corruption.pairs["stain", "telea"] == 2
    by_area = comparison.by_area(table)
    assert set(by_area.hole_area) == {"20-30 %"}
    assert set(by_area.pairs) == {2}


def test_the_summary_is_of_the_gan_and_says_what_it_gains(contest):
    table = contest.scores()
    summary = comparison.summary(table)
    assert summary["pairs"] == 3
    assert summary["psnr"] == pytest.approx(table[table.method == "gan"].psnr.mean(), abs=1e-4)
    assert summary["gain_psnr"]["mean"] == 0
    assert summary["gain_psnr"]["bicubic"] == 0
    assert summary["stain"]["ssim_hole"] < 1
    assert json.loads(json.dumps(summary)) == summary


def test_the_figures_show_every_corruption(contest):
    table = contest.scores()
    width, height = figures.grid(contest, table, rows=2).size
    assert width >= 4 * 32
    assert height >= 32
    assert figures.cases(contest, table, rows=2).size == (width, height)
    assert len(figures.bars(comparison.by_corruption(table)).axes) == 2
