"""MLflow, reached: for who writes, and for who only reads."""

import os
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import requests

from pipeline.runtime.errors import UserError
from pipeline.tracking import embedded, place, run_list
from pipeline.tracking.faults import explain, mlflow_errors

if TYPE_CHECKING:  # MLflow takes seconds to import; bad input must fail before that
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.exceptions import MlflowException

EXPERIMENTS = ROWS, DATA = "mendline", "mendline-data"
PROXIED = "mlflow-artifacts:"  # files that the server passes on to its store
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
    """Before any work: write to MLflow, with the user's password.

    Raises:
        UserError: it cannot be written, and it is `required`; otherwise a warning says so.
    """
    try:
        check()
    except UserError as error:
        unavailable(error, required)


def check() -> None:
    """Write to MLflow, with the user's password, what every stage writes: a tag and a file.

    Raises:
        UserError: it cannot be written.
    """
    with mlflow_errors():
        _ask_server()
        store = connect()
        store.client.set_experiment_tag(store.rows, "checked", datetime.now(UTC).isoformat())
        _try_files(store.client.get_experiment(store.rows).artifact_location)


def _try_files(location: str) -> None:
    """Write to the place of files: a folder of this machine, or through the server."""
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    if place.is_server() and location.startswith(PROXIED):
        _send_file(location)
    if place.database() and is_local_uri(location):
        folder = Path(local_file_uri_to_path(location))
        folder.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def _send_file(location: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "checked")
        probe.touch()
        get_artifact_repository(location, place.uri()).log_artifact(str(probe))


def _ask_server() -> None:
    """A server that does not answer holds MLflow up for a minute; this ends sooner."""
    if not place.is_server():
        return
    trusted = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS") != "true"
    certificate = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH")
    client = os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH")
    requests.get(f"{place.uri()}/health", timeout=PATIENCE, verify=certificate or trusted, cert=client)


def unavailable(error: UserError, required: bool) -> None:
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
    with mlflow_errors():
        _settle()
        from mlflow import MlflowClient

        database = place.database()
        with place.exclusive_store():  # two at once would each make what the other makes
            if database and not embedded.is_there(database):
                embedded.set_up(database, EXPERIMENTS)
            client = MlflowClient(place.uri())
            if database:
                embedded.bring_home(database, EXPERIMENTS)
            ids = [_experiment(client, name) or _make_experiment(client, name) for name in EXPERIMENTS]
        run_list.preset(client, ids[0])
        return Store(client, *ids)


def connect_existing() -> Store | None:
    """Reach the store to read it; None where there is none, or nothing of ours in it. None is made.

    Raises:
        UserError: it cannot be used.
    """
    with mlflow_errors():
        database = place.database()
        if database and not embedded.is_there(database):
            return None
        _settle()
        from mlflow import MlflowClient

        client = MlflowClient(place.uri())
        rows, data = (_experiment(client, name) for name in EXPERIMENTS)
        return Store(client, rows, data) if rows and data else None


def download(model: str) -> Path:
    """The folder of a model, such as `models:/mendline@champion`, fetched out of the store. No store is made.

    Raises:
        UserError: there is no such model, or MLflow cannot be used.
    """
    with mlflow_errors():
        _settle()
        import mlflow

        if database := place.database():
            if not embedded.is_there(database):
                where = "run this in the repository's folder, or set MLFLOW_TRACKING_URI"
                raise UserError(f"{model}: no {database}; {where}")
            if embedded.was_moved(database, EXPERIMENTS):
                with place.exclusive_store():
                    embedded.bring_home(database, EXPERIMENTS)
        mlflow.set_tracking_uri(place.uri())
        try:
            return Path(mlflow.artifacts.download_artifacts(model))
        except Exception as error:
            known = "give models:/NAME@ALIAS or models:/NAME/VERSION, as MLflow lists them"
            raise UserError(f"{model}: {explain(error, known)} (MLflow at {place.shown()})") from None


def _settle() -> None:
    """MLflow looks at these when it is imported."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # below, MLflow logs tracebacks of what it raises
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")  # seconds


def _experiment(client: "MlflowClient", name: str) -> str | None:
    found = client.get_experiment_by_name(name)
    if found and found.lifecycle_stage == "deleted":
        command = f"MLFLOW_TRACKING_URI={quote(place.shown())} mlflow experiments restore -x {found.experiment_id}"
        raise UserError(f"MLflow at {place.shown()}: experiment {name} was deleted; restore it: {command}")
    return found.experiment_id if found else None


def _make_experiment(client: "MlflowClient", name: str) -> str:
    """Make an experiment; of clients that do so at the same time, on other machines too, one does it for all."""
    from mlflow.exceptions import MlflowException

    try:
        return client.create_experiment(name, _artifacts())
    except MlflowException as error:
        made = error.error_code == "RESOURCE_ALREADY_EXISTS" and _experiment(client, name)
        if not made:
            raise
        return made


def _artifacts() -> str | None:
    """Beside the embedded store; where there is a server, it decides."""
    return None if place.is_server() else place.artifacts().as_uri()


def is_missing(error: "MlflowException") -> bool:
    """Whether MLflow says that there is no such thing, and not that it cannot be reached."""
    return error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
