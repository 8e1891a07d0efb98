import json

import pandas as pd
import pytest

from pipeline.evaluation import tables


def test_the_tables_agree_with_the_scores(comparison):
    table = comparison.scores()
    by_corruption = tables.by_corruption(table).set_index(["corruption", "method"])
    stained = table[(table.corruption == "stain") & (table.method == "telea")]
    assert by_corruption.psnr["stain", "telea"] == pytest.approx(stained.psnr.mean(), abs=1e-4)
    assert by_corruption.pairs["stain", "telea"] == 2
    by_area = tables.by_area(table)
    assert set(by_area.hole_area) == {"20-30 %"}
    assert set(by_area.pairs) == {2}
    by_margin = tables.by_margin(table).set_index(["margin", "method"])
    assert set(by_margin.index.get_level_values(0)) == {"none", "0-1 %"}  # low resolution has none to speak of
    assert by_margin.psnr["0-1 %", "telea"] == pytest.approx(stained.psnr.iloc[1], abs=1e-4)


def test_the_summary_is_of_the_gan_and_says_what_it_gains(comparison):
    table = comparison.scores()
    summary = tables.summary(table)
    assert summary["pairs"] == 3
    assert summary["psnr"] == pytest.approx(table[table.method == "gan"].psnr.mean(), abs=1e-4)
    assert summary["gain_psnr"]["mean"] == 0
    assert summary["gain_psnr"]["bicubic"] == 0
    assert summary["stain"]["ssim_hole"] < 1
    assert json.loads(json.dumps(summary)) == summary


def scored(*lines):
    """The scores of (pair, corruption, method, PSNR)."""
    table = pd.DataFrame(lines, columns=["image_id", "corruption", "method", "psnr"])
    return table.assign(variant=0, hole_area=0.1, margin=0.0, ssim=table.psnr / 100, psnr_hole=0.0, ssim_hole=0.0)


def test_a_hole_of_exactly_a_tenth_is_among_the_smaller_ones():
    assert tables.by_area(scored((0, "stain", "gan", 20.0))).hole_area.tolist() == ["0-10 %"]


def test_the_headline_is_the_gain_over_the_strongest_method_of_each_task():
    """Telea is stronger on the pairs than harmonic, which is better on one of them; Lanczos than bicubic."""
    psnr = {
        ("stain", 0): {"telea": 25.0, "harmonic": 26.0, "gan": 28.0},
        ("scratch", 1): {"telea": 31.0, "harmonic": 27.0, "gan": 30.0},
        ("stain", 2): {"telea": 20.0, "harmonic": 20.0, "gan": 27.0},
        ("lowres_x2", 3): {"bicubic": 22.0, "lanczos": 24.0, "gan": 23.0},
    }
    table = scored(*((pair, kind, name, value) for (kind, pair), own in psnr.items() for name, value in own.items()))
    assert tables.headline(table) == {"psnr": 27.0, "ssim": 0.27, "gain": (3 - 1 + 7 - 1) / 4}

    assert tables.lost(tables.by_corruption(table)) == {"scratch": "telea", "lowres_x2": "lanczos"}


def test_the_headline_agrees_with_the_summary(comparison):
    table = comparison.scores()
    headline, summary = tables.headline(table), tables.summary(table)
    assert [headline["psnr"], headline["ssim"]] == [summary["psnr"], summary["ssim"]]
    gains = summary["gain_psnr"]
    holes, size = min(gains[name] for name in gains if name not in {"bicubic", "lanczos"}), gains["lanczos"]
    assert headline["gain"] == pytest.approx((2 * holes + min(size, gains["bicubic"])) / 3, abs=1e-4)
    assert json.loads(json.dumps(headline)) == headline
