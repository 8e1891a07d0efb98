"""What a run holds, in MLflow's terms."""

import json
import re
import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline import lineage
from pipeline.tracking.client import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Logged = frozenset[tuple[str, int]]
PICTURE = r"images/(\w+)\Wstep\W(\d+)\W"  # how log_image names the file of a key and a step
BATCH = 1000  # metrics that MLflow takes in one call
DATA = {"download": "data/coco", "corrupt": "data/pairs"}  # the data stages, and what they make


def logged(client: "MlflowClient", run_id: str) -> Logged:
    """The points and pictures of a run, by name and step."""
    names = [name for name in client.get_run(run_id).data.metrics if not name.startswith("system/")]
    points = {(name, point.step) for name in names for point in client.get_metric_history(run_id, name)}
    images = [re.match(PICTURE, file.path) for file in client.list_artifacts(run_id, "images")]
    return frozenset(points | {(image[1], int(image[2])) for image in images if image})


def points(points: Iterable[tuple[int, dict[str, float]]], logged: Logged) -> list[Any]:
    """MLflow's metrics for these points, each with its step; those that are logged already are left out."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(name, float(value), now, step)
        for step, values in points
        for name, value in values.items()
        if (name, step) not in logged
    ]


def describe(store: Store, run_id: str, stages: lineage.Stages, code: dict[str, str], tags: dict[str, str]) -> None:
    """Give a run the parameters of all stages, their data with the runs that made it, their code, and these tags."""
    from mlflow.entities import Param, RunTag

    data = {path: digest for path, digest in lineage.digests(stages).items() if path.startswith("data/")}
    tags = tags | code | {f"digest.{path}": digest for path, digest in data.items()}
    tags |= {f"code.{stage}": digest for stage, digest in lineage.code_digests(stages).items()}
    if "git.commit" in code:
        tags["mlflow.source.git.commit"] = code["git.commit"]
    there = store.client.get_run(run_id)
    values = {name: value for name, value in lineage.parameters(stages).items() if name not in there.data.params}
    store.client.log_batch(
        run_id,
        params=[Param(name, value) for name, value in values.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )
    if not (there.inputs and there.inputs.dataset_inputs):
        store.client.log_inputs(run_id, _inputs(store, stages, code))


def _inputs(store: Store, stages: lineage.Stages, code: dict[str, str]) -> list[Any]:
    """The data that the last stage was made from: DVC's digest, and the run that made it."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    made = lineage.digests(stages)
    inputs = []
    for stage, path in DATA.items():
        if path in made and stage != list(stages)[-1]:
            worker = data_run(store, stage, made, code)
            run_id = worker.info.run_id if worker else ""
            source = {"path": path, "md5": made[path], "stage": stage, "run_id": run_id}
            dataset = Dataset(name=path, digest=made[path][:36], source_type="dvc", source=json.dumps(source))
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", stage)]))
    return inputs


def data_run(store: Store, stage: str, made: dict[str, str], code: dict[str, str]) -> "Run | None":
    """The run that made this data: of this experiment, else the last; None where the store has none."""
    runs = store.search(store.data, stage=stage, out=made.get(DATA[stage], ""))
    return next((run for run in [*filter(partial(is_own, code=code), runs), *runs]), None)


def is_own(run: "Run", code: dict[str, str]) -> bool:
    """Whether a run is of the experiment with this commit and name in DVC."""
    return all(run.data.tags.get(name) == code.get(name) for name in ("dvc.experiment", "git.commit"))
