"""A run for each data stage that ran, in an experiment of their own."""

from pathlib import Path

from pipeline import lineage
from pipeline.errors import UserError
from pipeline.tracking import contents
from pipeline.tracking.faults import usable
from pipeline.tracking.store import absent, connect


def log(stage: str, metrics: dict[str, float], files: list[Path]) -> None:
    """Record a data stage that has just done its work. Where MLflow cannot be used, warn: the work is done."""
    try:
        store = connect()
        stages = lineage.here(stage)
        code = lineage.code_state()
        with usable():
            tags = {"stage": stage, "out": lineage.digests(stages).get(contents.DATA[stage], "")}
            run_id = store.client.create_run(store.data, run_name=f"{stage}, {lineage.name(code)}").info.run_id
            contents.describe(store, run_id, stages, code, tags)
            store.client.log_batch(run_id, contents.points([(0, metrics)], frozenset()))
            for path in files:
                store.client.log_artifact(run_id, str(path))
            store.client.set_terminated(run_id)
    except UserError as error:
        absent(error, required=False)
