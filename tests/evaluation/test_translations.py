import numpy as np
import pandas as pd
import pytest

from pipeline.corruptions.renderings import render
from pipeline.datasets import pairs
from pipeline.datasets.pairs import Pairs
from pipeline.evaluation import figures, tables, translations
from pipeline.evaluation.model_card import model_card
from pipeline.evaluation.translations import CLASSICAL, Likeness, Translations, describe, dodge, histogram, reinhard
from pipeline.metrics.image_quality import edge_ssim
from pipeline.tasks import TASKS
from tests.corruptions.made import picture

BLUE = np.array([0.3, 0.4, 1.0])


def smooth(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    down, across = np.mgrid[:48, :48]
    waves = [np.sin(down / rng.uniform(3, 9) + across / rng.uniform(3, 9)) for _ in range(3)]
    return (128 + 90 * np.stack(waves, -1)).astype(np.uint8)


def store(folder, split: str, label: str, apart: bool) -> Pairs:
    def made():
        for number in range(6):
            image = smooth(number)
            target = render("sketch", smooth(number + 50 * apart))
            encoded = map(pairs.encode, (target, image, np.full((48, 48), 255, np.uint8)))
            yield pairs.Pair(number, 0, label, number, 1.0, np.nan, *encoded)

    pairs.write(folder, split, made())
    return Pairs(folder, split)


def contest(folder, label: str) -> Translations:
    """One whose translator makes the very truth, where there is any."""
    apart = label == "folders"
    return Translations(
        store(folder, "test", label, apart), store(folder, "train", label, True), lambda image: render("sketch", image)
    )


def test_reinhard_gives_the_means_and_deviations_of_the_domain():
    blue = [(smooth(number) * BLUE).astype(np.uint8) for number in range(4)]
    moved = reinhard(smooth(9), describe(blue))
    assert np.abs(moved.mean((0, 1)) - np.mean(blue, (0, 1, 2))).max() < 12
    grey = np.full((8, 8, 3), 77, np.uint8)
    assert np.isfinite(reinhard(grey, describe(blue))).all()


def test_histograms_become_those_of_the_domain():
    blue = [(smooth(number) * BLUE).astype(np.uint8) for number in range(4)]
    ours, theirs = np.sort(histogram(smooth(9), describe(blue)).reshape(-1, 3), 0), np.concatenate(blue).reshape(-1, 3)
    assert np.abs(np.median(ours, 0) - np.median(theirs, 0)).max() < 4


def test_a_dodge_leaves_white_where_nothing_changes():
    flat = np.full((40, 40, 3), 100, np.uint8)
    flat[:, 20:] = 30
    drawn = dodge(flat)
    assert drawn[:, :3].min() > 245 and drawn[:, 20:23].mean() < 200


def test_edges_are_kept_by_what_changes_the_light_and_not_by_what_blurs():
    image = picture(40, 40)
    darker, moved = (image * 0.95).astype(np.uint8), np.roll(image, 3, 0)
    assert edge_ssim(image[None], image[None])[0] == pytest.approx(1, abs=1e-5)
    ours = edge_ssim(np.stack([darker, moved]), np.stack([image, image]))
    assert ours[0] > 0.95 and ours[1] < 0.5


def test_the_truth_is_scored_where_it_is_known(tmp_path):
    scores = contest(tmp_path, "sketch").scores(Likeness([]))
    assert set(scores.method) == {"identity", "reinhard", "histogram", "dodge", "translator"}
    assert (scores[scores.method == "translator"].psnr == 100).all()
    assert (scores[scores.method == "identity"].edges > 0.999).all()
    assert tables.compared(scores) == "psnr" and tables.trained(scores) == "translator"
    best = scores[scores.method != "translator"].groupby("method").psnr.mean().max()
    assert tables.headline(scores)["gain"] == pytest.approx(100 - best, abs=1e-3)
    assert tables.lost(tables.by_corruption(scores)) == {}
    assert not len(tables.by_area(scores)) and not len(tables.by_width(scores))


def test_without_a_truth_what_is_kept_is_compared(tmp_path):
    scores = contest(tmp_path, "folders").scores(Likeness([]))
    assert set(scores.method) == {"identity", "reinhard", "histogram", "translator"}
    assert scores.psnr.isna().all() and scores.ssim_hole.isna().all()
    assert tables.compared(scores) == "edges"
    assert tables.headline(scores) == {
        "edges": pytest.approx(scores[scores.method == "translator"].edges.mean(), abs=1e-4)
    }


def test_damage_is_held_against_blind_filters(tmp_path):
    scores = contest(tmp_path, "speck").scores(Likeness([]))
    assert {"median", "non_local"} < set(scores.method) and "dodge" not in set(scores.method)


def test_the_nearest_picture_of_training_is_shown(tmp_path):
    ours = contest(tmp_path, "sketch")
    shown = ours.pictures(0)
    assert len(shown) == len(translations.TITLES)
    assert np.array_equal(shown[2], render("sketch", smooth(0))) and np.array_equal(shown[3], shown[2])
    assert any(np.array_equal(shown[4], ours.training.target(row)) for row in range(6))
    rote = Translations(ours.pairs, ours.training, lambda image: ours.training.target(4))
    assert np.array_equal(rote.pictures(1)[4], ours.training.target(4))


def test_the_lattice_is_measured_and_a_line_is_of_real_pictures(tmp_path, monkeypatch):
    class Constant:
        def __init__(self):
            self.seen = []

        def add(self, made, target, mask):
            self.seen.append((len(made), target))

        def values(self):
            return {"kid_fire5": np.arange(float(self.seen[0][0]))}

    monkeypatch.setitem(translations.PERCEPTUAL, "kid", Constant)
    monkeypatch.setattr(translations, "KernelDistance", Constant)
    ours, likeness = contest(tmp_path, "sketch"), Likeness(["kid", "lattice"])
    ours.scores(likeness)
    table = likeness.table().set_index("method")
    assert table.index.tolist() == ["identity", "reinhard", "histogram", "dodge", "translator", "real"]
    assert table.pairs.tolist() == [6] * 5 + [3] and table.loc["real", "kid_fire5"] == 0
    assert "lattice_4" in table and tables.of_the_gan(likeness.table())["perceptual"]["kid_fire5"] == 4
    (_, first), *_ = likeness.real.seen
    assert np.array_equal(first, ours.pairs.target(3))


@pytest.mark.parametrize(("label", "looks"), [("sketch", figures.TRANSLATED), ("folders", figures.WITHOUT_TRUTH)])
def test_figures_and_card_are_of_a_translator(tmp_path, label, looks):
    ours = contest(tmp_path, label)
    assert ours.has_truth == (looks is figures.TRANSLATED)
    scores = ours.scores(Likeness([]))
    means = tables.by_corruption(scores)
    assert figures.grid(ours, scores, looks, 2).width > 5 * 48
    assert len(figures.bars(means, looks).axes) == len(looks.bars)
    assert looks.verdict.format(**tables.headline(scores)).startswith("translator: ")
    config = {"image_size": 48, "trained_on": {}, "generator": {"design": "translator"}}
    manifest = pd.DataFrame({"license": ["CC0"], "license_url": [""]})
    card = model_card(config, manifest, means, tables.summary(scores), pd.DataFrame(columns=["method"]))
    assert card.startswith("# Mendline translator\n") and TASKS["translate"].use in card
    assert "squares of 48 px" in card and "edges: SSIM" in card


def test_every_method_has_a_label_and_the_one_beside_is_among_them():
    assert translations.BESIDE in CLASSICAL and translations.LABELS.keys() == {*CLASSICAL, "translator"}
