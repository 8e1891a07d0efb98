"""The row of an experiment, complete: whether its stages ran or came from a cache, live or afterwards."""

import io
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image
from ruamel.yaml import YAML

from pipeline import lineage
from pipeline.lineage import Stages
from pipeline.params import Champion
from pipeline.tracking import data_run, live_run, model_registry, run_content, server_lock
from pipeline.tracking.client import Store
from pipeline.tracking.faults import mlflow_errors
from pipeline.tracking.place import exclusive_rows

if TYPE_CHECKING:
    from mlflow.entities import Run

WEIGHTS = "data/model/generator.safetensors"
FILES = [
    "metrics/headline.json",
    "metrics/evaluate.json",
    "metrics/losses.csv",
    "metrics/validation.csv",
    "metrics/restored",
    "metrics/scores.csv",
    "metrics/figures",
    "metrics/model_card.md",
    "data/model",
    *data_run.FILES,
    *model_registry.CODE,
]


def is_complete(store: Store, stages: Stages, code: dict[str, str]) -> bool:
    """Whether the experiment has a complete row, which then gets the name that DVC has given it since.

    Raises:
        UserError: MLflow cannot be used.
    """
    with mlflow_errors():
        rows = store.search(store.rows, result=lineage.result_key(stages), complete="true")
        name = code.get("dvc.experiment")
        if name and rows and "dvc.experiment" not in rows[-1].data.tags:
            store.client.set_tag(rows[-1].info.run_id, "dvc.experiment", name)
            store.client.update_run(rows[-1].info.run_id, name=name)
        return bool(rows) and _unclaimed(store, stages) is None


def complete(
    store: Store, stages: Stages, code: dict[str, str], folder: Path, champion: Champion, evaluated: bool = False
) -> bool:
    """Give the experiment with this lock a row, or what its row lacks.

    The row of its training is continued, if it has not become another experiment's. It gets the parameters, curves,
    scores, pictures, figures and the model, and says which stages were reused and which runs did the work.

    Args:
        store: where the row is.
        stages: of the experiment's `dvc.lock`.
        code: its commit, and its name in DVC.
        folder: where the `FILES` of the experiment lie.
        champion: when its model becomes the champion.
        evaluated: its evaluation has just run.

    Returns:
        Whether there was anything to add.

    Raises:
        UserError: MLflow cannot be used, now or halfway; the next call adds what is missing.
    """
    # Whoever may claim the same training, make the same row or register the same model has the same model.
    same = lineage.digests(stages)["data/model"]
    with mlflow_errors(), exclusive_rows(), server_lock.exclusive(store.client, same):
        run = claim_run(store, stages, code)
        if run.data.tags.get("complete") == "true":
            return False
        data_run.make_lost(store, stages, code, folder)
        origins = _origins(store, run, stages, code, evaluated)
        weights = {"model.sha256": sha256((folder / WEIGHTS).read_bytes()).hexdigest()}
        run_content.describe(store, run.info.run_id, stages, code, origins | weights)
        store.client.update_run(run.info.run_id, name=lineage.name(code))
        _fill(store, run, stages, folder)
        model_registry.register(store, run.info.run_id, folder, champion)
        if run.info.status != "FINISHED":
            store.client.set_terminated(run.info.run_id)
        store.client.set_tag(run.info.run_id, "complete", "true")
    return True


def reopen(store: Store) -> None:
    """Where a registered model, files or runs of data were lost, make rows incomplete: `complete` adds them again."""
    with mlflow_errors():
        names = [*filter(partial(model_registry.is_there, store), model_registry.DESCRIPTIONS)]
        empty = {name: model_registry.without_files(store, name) for name in names}
        data_runs = {run.info.run_id for run in store.search(store.data)}
        for run in store.search(store.rows, complete="true"):
            name = model_registry.name_of(run)
            whole = name in names and bool(store.client.list_artifacts(run.info.run_id))
            tags = run.data.tags
            workers = {tags.get(f"run.{stage}") for stage, path in run_content.DATA.items() if f"digest.{path}" in tags}
            whole = whole and workers <= data_runs
            if not whole or run.data.tags.get("model.version") in empty[name]:
                store.client.delete_tag(run.info.run_id, "complete")


def claim_run(store: Store, stages: Stages, code: dict[str, str]) -> "Run":
    """The run that is this experiment's row, marked as such.

    That is the last training that made its model, if no experiment has claimed it; else the row that is there already;
    else a new one.
    """
    key = lineage.result_key(stages)
    rows = store.search(store.rows, result=key)
    there = _unclaimed(store, stages) or next(reversed(rows), None)
    if there:
        store.client.set_tag(there.info.run_id, "result", key)
        return there
    tags = {"result": key, "training": lineage.training_key(stages)}
    return store.client.create_run(store.rows, run_name=lineage.name(code), tags=tags)


def _unclaimed(store: Store, stages: Stages) -> "Run | None":
    """The last training that made this model, unless it is an experiment's row.

    One before it was cut off after its last step, and done again: it never becomes a row.
    """
    last = next(_trainings(store, stages), None)
    return last if last and "result" not in last.data.tags else None


def _trainings(store: Store, stages: Stages) -> Iterator["Run"]:
    """Those that made this model, the last first."""
    for run in store.search(store.rows, training=lineage.training_key(stages)):
        if live_run.made(run) == lineage.digests(stages)["data/model"]:
            yield run


def _origins(store: Store, run: "Run", stages: Stages, code: dict[str, str], evaluated: bool) -> dict[str, str]:
    """Tags: the stages that ran for this row, those that were reused, and the runs that did the work."""
    workers = {stage: run_content.data_run(store, stage, lineage.digests(stages), code) for stage in run_content.DATA}
    ran = [stage for stage, worker in workers.items() if worker and _is_first_use(store, worker, run, code)]
    workers["train"] = run if live_run.trained(run) else next(reversed([*_trainings(store, stages)]), None)
    workers["evaluate"] = run if evaluated else None
    ran += [stage for stage in ("train", "evaluate") if workers[stage] is run]
    reused = [stage for stage in lineage.STAGES if stage not in ran]
    tags = {f"run.{stage}": worker.info.run_id if worker else "not in this store" for stage, worker in workers.items()}
    return tags | {"stages.ran": ", ".join(ran) or "none", "stages.reused": ", ".join(reused) or "none"}


def _is_first_use(store: Store, worker: "Run", row: "Run", code: dict[str, str]) -> bool:
    """Whether the data was made for this experiment, and the row is the first made from it; it is from now on."""
    if not run_content.is_own(worker, code) or data_run.AFTERWARDS in worker.data.tags:
        return False
    if "row" not in worker.data.tags:
        store.client.set_tag(worker.info.run_id, "row", row.info.run_id)
    return worker.data.tags.get("row") in {None, row.info.run_id}


def _fill(store: Store, run: "Run", stages: Stages, folder: Path) -> None:
    """Add the points, pictures and files that the run lacks."""
    client, run_id = store.client, run.info.run_id
    logged = run_content.logged(client, run_id)
    points = [
        *read_curve(folder, "losses", "train"),
        *read_curve(folder, "validation", "val"),
        (0, read_scores(folder)),
    ]
    fresh = run_content.points(points, logged)
    for first in range(0, len(fresh), run_content.BATCH):
        client.log_batch(run_id, fresh[first : first + run_content.BATCH])
    for path in sorted((folder / "metrics/restored").glob("step-*.png")):
        step = int(path.stem.removeprefix("step-"))
        if ("restored", step) not in logged:
            with Image.open(path) as picture:
                client.log_image(run_id, np.asarray(picture), key="restored", step=step)
    there = {file.path for file in client.list_artifacts(run_id)}
    if "figures" not in there:
        client.log_artifacts(run_id, str(folder / "metrics/figures"), "figures")
    if "scores.json" not in there:
        client.log_table(run_id, pd.read_csv(folder / "metrics/scores.csv"), "scores.json")
    if "dvc.lock" not in there:
        client.log_text(run_id, _as_yaml(stages), "dvc.lock")


def read_curve(folder: Path, name: str, prefix: str) -> list[tuple[int, dict[str, float]]]:
    """The points of `metrics/<name>.csv`, each with its step, named as they are in MLflow."""
    table = pd.read_csv(folder / f"metrics/{name}.csv").set_index("step").add_prefix(f"{prefix}/")
    return [(int(step), values.dropna().to_dict()) for step, values in table.iterrows()]


def read_scores(folder: Path) -> dict[str, float]:
    """Those of the evaluation, by names such as `evaluate/scratch/psnr_hole`, and the headline's, such as `psnr`."""
    read = YAML(typ="safe", pure=True).load
    summary, headline = (read(folder / f"metrics/{name}.json") for name in ("evaluate", "headline"))
    return lineage.flatten({"evaluate": summary}, "/") | headline


def _as_yaml(stages: Stages) -> str:
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump({"schema": "2.0", "stages": stages}, text)
    return text.getvalue()
