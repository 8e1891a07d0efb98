import pandas as pd
import pytest

from pipeline.evaluation import tables
from pipeline.evaluation.model_card import model_card
from pipeline.tasks import TASKS

CONFIG = {"image_size": 32, "trained_on": {"data/coco": "c0ffee.dir"}}
MANIFEST = pd.DataFrame({"license": ["CC BY", "CC BY", "own"], "license_url": ["https://a", "https://a", None]})


@pytest.mark.parametrize("tasks", [["restore", "superres"], ["restore"], ["superres"]])
def test_the_card_says_what_the_model_was_evaluated_for_and_no_more(tasks, comparison):
    scores = comparison.scores()
    of_size = scores.corruption == "lowres_x2"
    scores = scores[(of_size & ("superres" in tasks)) | (~of_size & ("restore" in tasks))]
    card = model_card(CONFIG, MANIFEST, tables.by_corruption(scores), tables.summary(scores))
    assert [name for name, task in TASKS.items() if task.use in card] == tasks
    assert [name for name, task in TASKS.items() if task.limit in card] == tasks
    assert f"On {scores.image_id.nunique()} test pairs" in card
    assert "3 photos" in card and "c0ffee" in card and "32 px" in card
