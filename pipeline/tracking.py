"""Everything that knows MLflow: a run for each stage that ran, in one store that all experiments share."""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from pipeline import lineage
from pipeline.errors import UserError
from pipeline.params import Params

if TYPE_CHECKING:  # MLflow takes seconds to import; bad input must fail before that
    from mlflow import MlflowClient

EXPERIMENT = "mendline"
STAGES = ("download", "corrupt", "train", "evaluate")
PICTURE = r"images/(\w+)\Wstep\W(\d+)\W"  # how log_image names the file of a key and a step
BATCH = 1000  # metrics that MLflow takes in one call


class Run:
    """A run that is under way. What cannot be logged costs a warning, never the work.

    What it holds already, name and step, is not logged again.
    """

    def __init__(self, client: "MlflowClient", run_id: str, logged: frozenset[tuple[str, int]] = frozenset()) -> None:
        self.client, self.run_id, self.logged = client, run_id, logged

    def metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Log a point of each metric, all in one call: a call costs some 20 ms."""
        self.curves([(step, values)])

    def curves(self, points: list[tuple[int, dict[str, float]]]) -> None:
        """Log many points of metrics, each with its step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        fresh = [
            Metric(name, value, now, step)
            for step, values in points
            for name, value in values.items()
            if (name, step) not in self.logged
        ]
        with _failure_warns():
            for first in range(0, len(fresh), BATCH):
                self.client.log_batch(self.run_id, fresh[first : first + BATCH])

    def picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """Log a uint8 RGB HWC picture of a series, for the run's image grid."""
        if (name, step) not in self.logged:
            with _failure_warns():
                self.client.log_image(self.run_id, picture, key=name, step=step)

    def file(self, path: Path, folder: str) -> None:
        """Log a file, or all files of a folder, as artifacts."""
        log = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
        with _failure_warns():
            log(self.run_id, str(path), folder)

    def end(self, status: str) -> None:
        """The run is FINISHED, KILLED or FAILED."""
        with _failure_warns():
            self.client.set_terminated(self.run_id, status)


def log_stage(stage: str, params: Params, metrics: dict[str, float], files: list[Path]) -> None:
    """Record a stage that has just done its work. Where MLflow cannot be used, warn: the work is done."""
    try:
        with start(stage, params) as run:
            run.metrics(metrics)
            for path in files:
                run.file(path, stage)
    except UserError as error:
        print(f"warning: not tracked: {error}", file=sys.stderr)


@contextmanager
def start(stage: str, params: Params, tags: dict[str, str] | None = None, earlier: str = "") -> Iterator[Run]:
    """A run of this stage, named like it: its parameters, those of the stages before it, its data and its code.

    The run whose id is `earlier` goes on, where there is one that has these parameters and has not finished. The run
    ends FINISHED, KILLED when the stage is stopped, FAILED when the block raises something else. It is kept at
    `MLFLOW_TRACKING_URI`, else in the repository's `mlflow.db`, with its files in `mlartifacts/`.

    Raises:
        UserError: the tracking server or store cannot be used.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # below, MLflow logs tracebacks of what it raises
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    try:
        run = _open(stage, params, tags or {}, earlier)
    except _failures() as error:
        raise UserError(f"MLflow at {_uri()}: {_first_line(error)}; check MLFLOW_TRACKING_URI") from None
    try:
        yield run
    except BaseException as error:
        run.end("KILLED" if isinstance(error, SystemExit) else "FAILED")
        raise
    run.end("FINISHED")


@contextmanager
def _failure_warns() -> Iterator[None]:
    try:
        yield
    except _failures() as error:
        print(f"warning: MLflow at {_uri()}: {_first_line(error)}", file=sys.stderr)


def _failures() -> tuple[type[Exception], ...]:
    """What a store, a server, a full disk or a missing database driver makes MLflow raise."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, OSError, ImportError


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _open(stage: str, params: Params, tags: dict[str, str], earlier: str) -> Run:
    from mlflow import MlflowClient
    from mlflow.entities import Param, RunTag

    lock = lineage.root() / ".cache" / "mlflow.lock"
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock):  # a fresh store is migrated by whoever comes first; two at once break it for good
        client = MlflowClient(_uri())
        experiment = client.get_experiment_by_name(EXPERIMENT)
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT, _artifacts())
    so_far = STAGES[: STAGES.index(stage) + 1]
    values = flat({section: getattr(params, section).model_dump() for section in so_far}, ".")
    tags = tags | lineage.code_state() | {"stage": stage}
    if "git.commit" in tags:
        tags["mlflow.source.git.commit"] = tags["git.commit"]
    if earlier and (run := _continued(client, earlier, {name: str(value) for name, value in values.items()})):
        client.log_batch(run.run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        return run
    run_id = client.create_run(experiment_id, run_name=stage, tags=tags).info.run_id
    client.log_batch(run_id, params=[Param(name, str(value)) for name, value in values.items()])
    client.log_inputs(run_id, [_dataset(path, digest) for path, digest in lineage.data_digests(stage).items()])
    return Run(client, run_id)


def _continued(client: "MlflowClient", run_id: str, values: dict[str, str]) -> Run | None:
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException:  # the store has no such run
        return None
    if run.info.status == "FINISHED" or run.info.lifecycle_stage == "deleted" or run.data.params != values:
        return None
    client.update_run(run_id, "RUNNING")
    points = {(name, point.step) for name in run.data.metrics for point in client.get_metric_history(run_id, name)}
    images = [re.match(PICTURE, file.path) for file in client.list_artifacts(run_id, "images")]
    pictures = {(image[1], int(image[2])) for image in images if image}
    return Run(client, run_id, frozenset(points | pictures))


def _dataset(path: str, digest: str) -> Any:
    from mlflow.entities import Dataset, DatasetInput

    return DatasetInput(Dataset(name=path, digest=digest[:36], source_type="dvc", source=f'{{"path": "{path}"}}'))


def flat(tree: dict[str, Any], separator: str) -> dict[str, Any]:
    """The leaves of nested dictionaries, by the keys on the way to them."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        below = flat(value, separator) if isinstance(value, dict) else {"": value}
        leaves |= {f"{key}{separator}{rest}".removesuffix(separator): leaf for rest, leaf in below.items()}
    return leaves


def _uri() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{lineage.root() / 'mlflow.db'}"


def _artifacts() -> str | None:
    """Beside the embedded store; where there is a server, it decides."""
    return None if _uri().startswith("http") else (lineage.root() / "mlartifacts").as_uri()
