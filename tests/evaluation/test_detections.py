import numpy as np
import pandas as pd
import pytest

from pipeline.datasets import pairs
from pipeline.evaluation import figures, tables
from pipeline.evaluation.detections import FALSE, MISSED, RIGHT, Detections, heuristic, mark, top_hat
from pipeline.evaluation.figures import FOUND
from pipeline.evaluation.holes import Holes
from pipeline.evaluation.model_card import model_card
from pipeline.tasks import TASKS


def scratched(row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A smooth picture, the same with a white line of 2 px, and where that is."""
    ramp = np.linspace(60, 140, 64).astype(np.uint8)
    target = np.repeat(np.tile(ramp, (64, 1))[..., None], 3, axis=2)
    mask = np.zeros((64, 64), bool)
    mask[row : row + 2, 4:60] = True
    return target, np.where(mask[..., None], np.uint8(255), target), mask


@pytest.fixture
def detections(tmp_path) -> Detections:
    """Three scratched pictures and a detector that takes for damage what is white, but for the third picture."""

    def made():
        for number, kind in enumerate(["scratch", "scratch", "hair"]):
            target, corrupted, mask = scratched(10 * number + 8)
            encoded = [pairs.encode(picture) for picture in (target, corrupted, mask.astype(np.uint8) * 255)]
            yield pairs.Pair(number, 0, kind, number, float(mask.mean()), 0.0, *encoded)

    def detector(image: np.ndarray) -> np.ndarray:
        found = (image[..., 0] > 250).astype(np.float32)
        return 0.2 * found if found[28].any() else found

    pairs.write(tmp_path / "pairs", "test", made())
    return Detections(pairs.Pairs(tmp_path / "pairs", "test"), detector)


def test_every_method_is_scored_on_every_pair(detections):
    scores = detections.scores()
    assert len(scores) == 9
    own = scores[scores.method == "detector"].set_index("image_id")
    assert own.f1.tolist() == [1, 1, 0]
    assert own.ap.tolist() == [1, 1, 1]
    assert own.width.tolist() == [2, 2, 2]
    assert own.corruption.tolist() == ["scratch", "scratch", "hair"]
    assert scores[scores.method == "top_hat"].f1.min() == 1


def test_the_tables_compare_detectors_by_f1(detections):
    scores = detections.scores()
    means = tables.by_corruption(scores)
    assert tables.headline(scores) == {"f1": pytest.approx(2 / 3, abs=1e-4), "ap": 1}
    assert tables.lost(means) == {"hair": "heuristic" if heuristic_finds(scores) else "top_hat"}
    summary = tables.summary(scores)
    assert summary["gain_f1"]["top_hat"] == pytest.approx(-1 / 3, abs=1e-4)
    assert summary["hair"]["f1"] == 0
    assert tables.by_width(scores).width.unique().tolist() == ["0-2 px"]


def heuristic_finds(scores: pd.DataFrame) -> bool:
    return scores[(scores.method == "heuristic") & (scores.corruption == "hair")].f1.item() == 1


def test_the_figures_show_what_was_found_rightly_falsely_and_not(detections):
    scores = detections.scores()
    assert figures.grid(detections, scores, FOUND, rows=2).size == figures.cases(detections, scores, FOUND, 2).size
    bars = figures.bars(tables.by_corruption(scores), FOUND)
    assert [axis.get_ylabel() for axis in bars.axes] == ["F1", "AP"]
    image, _, by_detector, damage = detections.pictures(0)
    assert image.shape == by_detector.shape == (64, 64, 3)
    assert (by_detector[damage > 0] == RIGHT).all()
    assert (detections.pictures(2)[2][detections.pictures(2)[3] > 0] == MISSED).all()


def test_a_mark_in_the_wrong_place_has_its_own_colour():
    _, image, mask = scratched(20)
    marked = mark(image, np.roll(mask, 10, axis=0), mask)
    assert (marked[30:32, 4:60] == FALSE).all()
    assert (marked[20:22, 4:60] == MISSED).all()
    assert not (marked[40] == FALSE).all(axis=-1).any()


def test_the_classical_methods_find_bright_and_dark_lines_on_a_smooth_picture():
    _, image, mask = scratched(30)
    for picture in (image, 255 - image):
        assert (top_hat(picture) > 0.5)[mask].mean() > 0.9
        assert (heuristic(picture) > 0.5)[mask].mean() > 0.9


def test_the_card_of_a_detector_says_what_that_is_for(detections):
    scores = detections.scores()
    manifest = pd.DataFrame({"license": ["own"], "license_url": [None]})
    config = {"generator": {"design": "detector"}, "image_size": 64, "trained_on": {}}
    card = model_card(config, manifest, tables.by_corruption(scores), tables.summary(scores), Holes([]).table())
    assert card.startswith("# Mendline detector\n")
    assert [name for name, task in TASKS.items() if task.use in card] == ["detect"]
    assert "gain in F1" in card and "within 2 px" in card and "64 px" in card and "plausible" not in card
