"""Where MLflow keeps the runs, and what to make of it when it cannot be used."""

import importlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests
from filelock import FileLock

from pipeline import lineage
from pipeline.errors import UserError

if TYPE_CHECKING:  # MLflow takes seconds to import; bad input must fail before that
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.exceptions import MlflowException

EXPERIMENTS = ROWS, DATA = "mendline", "mendline-data"
PATIENCE = 5.0  # seconds in which a server must answer before work begins


@dataclass(frozen=True)
class Store:
    """MLflow, reached. `rows` is the id of the experiment with a run for each of ours, `data` of the data stages'."""

    client: "MlflowClient"
    rows: str
    data: str

    def search(self, experiment: str, **tags: str) -> list["Run"]:
        """The runs of an experiment, by id, that have all these tags, the newest first."""
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        newest_first = ["attributes.start_time DESC"]
        page = self.client.search_runs([experiment], wanted, order_by=newest_first)
        runs = list(page)
        while page.token:
            page = self.client.search_runs([experiment], wanted, order_by=newest_first, page_token=page.token)
            runs += page
        return runs


def prepare(required: bool) -> None:
    """Before any work: ask an MLflow server whether it is there, and begin to import MLflow beside the work.

    Raises:
        UserError: the server is not there, and it is `required`; otherwise a warning says so.
    """
    _settle()
    threading.Thread(target=importlib.import_module, args=("mlflow",), daemon=True).start()
    if not uri().startswith("http"):
        return
    trusted = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS") != "true"
    certificate = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH")
    try:
        status = requests.get(f"{uri()}/health", timeout=PATIENCE, verify=certificate or trusted).status_code
        reason = f"status {status}" if status >= 500 else ""
    except requests.RequestException as error:
        reason = "no answer" if isinstance(error, requests.Timeout) else "no connection"
    if reason:
        absent(UserError(f"MLflow at {uri()}: {reason}; start it, or check MLFLOW_TRACKING_URI"), required)


def absent(error: UserError, required: bool) -> None:
    """MLflow cannot be used: raise the error where it is `required`, otherwise warn."""
    if required:
        raise UserError(f"{error} (tracking.required: false goes on without it)")
    print(f"warning: not tracked: {error}; make sync-mlflow adds what is missing later", file=sys.stderr)


def connect() -> Store:
    """Reach the store; a fresh one is set up first.

    It is at `MLFLOW_TRACKING_URI`, else in the repository's `mlflow.db`, with its files in `mlartifacts/`.

    Raises:
        UserError: it cannot be used.
    """
    _settle()
    with usable():
        from mlflow import MlflowClient

        with alone():  # a fresh store is migrated by whoever comes first; two at once break it for good
            client = MlflowClient(uri())
            return Store(client, *(_experiment(client, name) for name in EXPERIMENTS))


def _settle() -> None:
    """MLflow looks at these when it is imported."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # below, MLflow logs tracebacks of what it raises
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")  # seconds


def _experiment(client: "MlflowClient", name: str) -> str:
    experiment = client.get_experiment_by_name(name)
    return experiment.experiment_id if experiment else client.create_experiment(name, _artifacts())


def alone() -> FileLock:
    """To hold while no other process of this repository may use the store."""
    lock = lineage.root() / ".cache" / "mlflow.lock"
    lock.parent.mkdir(exist_ok=True)
    return FileLock(lock)


@contextmanager
def usable() -> Iterator[None]:
    """Turn what MLflow and the stores behind it raise into a `UserError`: it must not cost finished work."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"MLflow at {uri()}: {first_line(error)}; check MLFLOW_TRACKING_URI") from None


def first_line(error: Exception) -> str:
    """Of its text, or its name where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def is_missing(error: "MlflowException") -> bool:
    """Whether MLflow says that there is no such thing, and not that it cannot be reached."""
    return error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}


def uri() -> str:
    """Of the tracking server or store; a relative path of a database is taken from the main checkout."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "").rstrip("/") or "sqlite:///mlflow.db"
    scheme, _, path = given.partition("sqlite:///")
    return given if scheme else f"sqlite:///{lineage.root() / path}"


def _artifacts() -> str | None:
    """Beside the embedded store; where there is a server, it decides."""
    return None if uri().startswith("http") else (lineage.root() / "mlartifacts").as_uri()
