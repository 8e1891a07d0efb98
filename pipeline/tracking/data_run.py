"""A run for each data stage that ran, in an experiment of their own."""

from pathlib import Path

import pandas as pd

from pipeline import lineage
from pipeline.runtime.errors import UserError
from pipeline.tracking import run_content, server_lock
from pipeline.tracking.client import Store, connect, unavailable
from pipeline.tracking.faults import mlflow_errors

MANIFEST, PAIRS, PICTURE = "data/coco/manifest.csv", "metrics/pairs.csv", "metrics/pairs.png"
FILES = [MANIFEST, PAIRS, PICTURE]  # what a run that was lost is made of again
AFTERWARDS = "recorded.afterwards"  # a tag of those


def log(stage: str, metrics: dict[str, float], files: list[Path]) -> None:
    """Record a data stage that has just done its work. Where MLflow cannot be used, warn: the work is done."""
    try:
        store = connect()
        with mlflow_errors():
            _make(store, lineage.stages_with_running(stage), lineage.code_state(), metrics, files, {})
    except UserError as error:
        unavailable(error, required=False)


def make_lost(store: Store, stages: lineage.Stages, code: dict[str, str], folder: Path) -> None:
    """Make the runs of data stages that the store lacks, from the lock and from `FILES`, which lie in the folder."""
    made = lineage.digests(stages)
    for stage in lost(store, stages, code):
        with server_lock.exclusive(store.client, made[run_content.DATA[stage]]):
            if stage in lost(store, stages, code):  # now that no other client makes it
                upstream = {name: stages[name] for name in lineage.STAGES[: lineage.STAGES.index(stage) + 1]}
                _make(store, upstream, code, *_recorded(stage, folder), {AFTERWARDS: "true"})


def lost(store: Store, stages: lineage.Stages, code: dict[str, str]) -> list[str]:
    """The data stages that have made something, of which the store has no run."""
    made = lineage.digests(stages)
    there = [stage for stage, path in run_content.DATA.items() if path in made]
    return [stage for stage in there if not run_content.data_run(store, stage, made, code)]


def _recorded(stage: str, folder: Path) -> tuple[dict[str, float], list[Path]]:
    """The numbers and files of a data stage, as the stage itself logs them."""
    if stage == "download":
        manifest = pd.read_csv(folder / MANIFEST)
        return {"download/photos": len(manifest), "download/bytes": int(manifest["bytes"].sum())}, []
    counts = pd.read_csv(folder / PAIRS).groupby("split").pairs.sum()
    return {f"corrupt/pairs/{split}": float(count) for split, count in counts.items()}, [folder / PICTURE]


def _make(
    store: Store,
    stages: lineage.Stages,
    code: dict[str, str],
    metrics: dict[str, float],
    files: list[Path],
    tags: dict[str, str],
) -> None:
    """A run of the last of the stages."""
    stage = list(stages)[-1]
    tags |= {"stage": stage, "out": lineage.digests(stages).get(run_content.DATA[stage], "")}
    run_id = store.client.create_run(store.data, run_name=f"{stage}, {lineage.name(code)}").info.run_id
    run_content.describe(store, run_id, stages, code, tags)
    store.client.log_batch(run_id, run_content.points([(0, metrics)], frozenset()))
    for path in files:
        store.client.log_artifact(run_id, str(path))
    store.client.set_terminated(run_id)
