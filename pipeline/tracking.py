"""Everything that knows MLflow: a run for each stage that ran, in one store that all experiments share."""

import os
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


class Run:
    """A run that is under way. What cannot be logged costs a warning, never the work."""

    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        self.client, self.run_id = client, run_id

    def metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Log a point of each metric, all in one call: a call costs some 20 ms."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [Metric(name, value, now, step) for name, value in values.items()]
        with _failure_warns():
            self.client.log_batch(self.run_id, points)

    def picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """Log a uint8 RGB HWC picture of a series, for the run's image grid."""
        with _failure_warns():
            self.client.log_image(self.run_id, picture, key=name, step=step)

    def file(self, path: Path, folder: str) -> None:
        """Log a file, or all files of a folder, as artifacts."""
        log = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
        with _failure_warns():
            log(self.run_id, str(path), folder)

    def end(self, status: str) -> None:
        """The run is FINISHED or FAILED."""
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
def start(stage: str, params: Params) -> Iterator[Run]:
    """A run of this stage, named like it: its parameters, those of the stages before it, its data and its code.

    The run ends FINISHED, or FAILED when the block raises. It is kept at `MLFLOW_TRACKING_URI`, else in the
    repository's `mlflow.db`, with its files in `mlartifacts/`.

    Raises:
        UserError: the tracking server or store cannot be used.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # below, MLflow logs tracebacks of what it raises
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    try:
        run = _create(stage, params)
    except _failures() as error:
        raise UserError(f"MLflow at {_uri()}: {_first_line(error)}; check MLFLOW_TRACKING_URI") from None
    try:
        yield run
    except BaseException:
        run.end("FAILED")
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


def _create(stage: str, params: Params) -> Run:
    from mlflow import MlflowClient
    from mlflow.entities import Param

    lock = _root() / ".cache" / "mlflow.lock"
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock):  # a fresh store is migrated by whoever comes first; two at once break it for good
        client = MlflowClient(_uri())
        experiment = client.get_experiment_by_name(EXPERIMENT)
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT, _artifacts())
    code = lineage.code_state()
    tags = code | {"stage": stage}
    if "git.commit" in code:
        tags["mlflow.source.git.commit"] = code["git.commit"]
    run_id = client.create_run(experiment_id, run_name=stage, tags=tags).info.run_id
    so_far = STAGES[: STAGES.index(stage) + 1]
    values = flat({section: getattr(params, section).model_dump() for section in so_far}, ".")
    client.log_batch(run_id, params=[Param(name, str(value)) for name, value in values.items()])
    client.log_inputs(run_id, [_dataset(path, digest) for path, digest in lineage.data_digests(stage).items()])
    return Run(client, run_id)


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


def _root() -> Path:
    """The main checkout, also when DVC runs an experiment in a temporary one."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def _uri() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_root() / 'mlflow.db'}"


def _artifacts() -> str | None:
    """Beside the embedded store; where there is a server, it decides."""
    return None if _uri().startswith("http") else (_root() / "mlartifacts").as_uri()
