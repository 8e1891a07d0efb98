import json
import re

from pipeline.metrics.registry import HEADLINE
from pipeline.tracking.client import connect
from pipeline.tracking.run_list import VIEW
from tests.clone import ROOT


def test_the_link_of_make_ui_opens_the_runs_with_the_headline_as_columns(store):
    key = re.search(r"viewStateShareKey=(\w+)", (ROOT / "Makefile").read_text())
    assert key and f"mlflow.sharedViewState.{key[1]}" == VIEW
    tags = store.client.get_experiment(store.rows).tags
    assert json.loads(tags[VIEW])["selectedColumns"][1:] == [f"metrics.`{name}`" for name in HEADLINE]


def test_a_view_that_was_changed_stays(store):
    store.client.set_experiment_tag(store.rows, VIEW, "mine")
    assert connect().client.get_experiment(store.rows).tags[VIEW] == "mine"
