"""A run for each data stage that ran, in an experiment of their own."""

from pathlib import Path

from pipeline import lineage
from pipeline.runtime.errors import UserError
from pipeline.tracking import run_content
from pipeline.tracking.client import connect, unavailable
from pipeline.tracking.faults import mlflow_errors


def log(stage: str, metrics: dict[str, float], files: list[Path]) -> None:
    """Record a data stage that has just done its work. Where MLflow cannot be used, warn: the work is done."""
    try:
        store = connect()
        stages = lineage.stages_with_running(stage)
        code = lineage.code_state()
        with mlflow_errors():
            tags = {"stage": stage, "out": lineage.digests(stages).get(run_content.DATA[stage], "")}
            run_id = store.client.create_run(store.data, run_name=f"{stage}, {lineage.name(code)}").info.run_id
            run_content.describe(store, run_id, stages, code, tags)
            store.client.log_batch(run_id, run_content.points([(0, metrics)], frozenset()))
            for path in files:
                store.client.log_artifact(run_id, str(path))
            store.client.set_terminated(run_id)
    except UserError as error:
        unavailable(error, required=False)
