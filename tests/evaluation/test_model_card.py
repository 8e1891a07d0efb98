import pandas as pd
import pytest

from pipeline.evaluation import tables
from pipeline.evaluation.holes import Holes
from pipeline.evaluation.model_card import model_card
from pipeline.tasks import TASKS

CONFIG = {"generator": {"design": "residual"}, "image_size": 32, "trained_on": {"data/coco": "c0ffee.dir"}}
MANIFEST = pd.DataFrame({"license": ["CC BY", "CC BY", "own"], "license_url": ["https://a", "https://a", None]})


@pytest.mark.parametrize("tasks", [["restore", "superres"], ["restore"], ["superres"]])
def test_the_card_says_what_the_model_was_evaluated_for_and_no_more(tasks, comparison):
    scores = comparison.scores()
    of_size = scores.corruption == "lowres_x2"
    scores = scores[(of_size & ("superres" in tasks)) | (~of_size & ("restore" in tasks))]
    card = model_card(CONFIG, MANIFEST, tables.by_corruption(scores), tables.summary(scores), Holes([]).table())
    assert [name for name, task in TASKS.items() if task.use in card] == tasks
    assert [name for name, task in TASKS.items() if task.limits[0] in card] == tasks
    assert f"On {scores.image_id.nunique()} test pairs" in card
    assert "3 photos" in card and "c0ffee" in card and ("32 px" in card) == ("restore" in tasks)


@pytest.mark.parametrize(("design", "title"), [("residual", "generator"), ("enlarger", "enlarger")])
def test_the_card_says_what_a_generator_is_to_be_given_to_enlarge(design, title, comparison):
    scores = comparison.scores().query("corruption == 'lowres_x2'")
    config = CONFIG | {"generator": {"design": design}}
    card = model_card(config, MANIFEST, tables.by_corruption(scores), tables.summary(scores), Holes([]).table())
    assert card.startswith(f"# Mendline {title}\n")
    assert ("a mask that is all white" in card) == (design == "residual")


@pytest.mark.parametrize("init", [None, "models/untrained", "models/portraits"])
def test_the_card_names_the_model_that_the_training_went_on_from(init, comparison):
    scores = comparison.scores()
    config = CONFIG if init is None else CONFIG | {"init": init}
    card = model_card(config, MANIFEST, tables.by_corruption(scores), tables.summary(scores), Holes([]).table())
    assert ("its licenses, count too" in card) == ("models/portraits" in card) == (init == "models/portraits")


def test_the_card_says_how_real_holes_look_where_that_was_measured(comparison):
    holes = Holes(["lattice"])
    scores = comparison.scores(holes)
    of_scores = CONFIG, MANIFEST, tables.by_corruption(scores), tables.summary(scores)
    assert "lattice_16" in model_card(*of_scores, holes.table())
    assert "lattice" not in model_card(*of_scores, Holes([]).table())
    (gan,) = holes.table().query("method == 'gan'").lattice_4
    assert tables.of_the_gan(holes.table())["perceptual"]["lattice_4"] == gan
    assert tables.of_the_gan(Holes([]).table()) == {}
