"""How MLflow's list of runs opens: with the headline as columns, by the link that `make ui` prints."""

import json
from typing import TYPE_CHECKING

from pipeline.metrics.registry import HEADLINE

if TYPE_CHECKING:
    from mlflow import MlflowClient

VIEW = "mlflow.sharedViewState.mendline"  # MLflow opens it for viewStateShareKey=mendline
COLUMNS = ["attributes.`Created`", *(f"metrics.`{name}`" for name in HEADLINE)]


def preset(client: "MlflowClient", experiment: str) -> None:
    """Give an experiment its view, unless it has one: it may have been changed."""
    if VIEW not in client.get_experiment(experiment).tags:
        client.set_experiment_tag(experiment, VIEW, json.dumps({"selectedColumns": COLUMNS}))
