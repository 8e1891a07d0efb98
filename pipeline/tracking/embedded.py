"""The embedded store: an SQLite file, with its artifacts in `mlartifacts/` beside it."""

import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pipeline.runtime import files
from pipeline.runtime.errors import UserError
from pipeline.tracking.place import ARTIFACTS, SQLITE

BRING = "copy them, or make sync-mlflow adds what DVC has"
WAIT = 20.0  # seconds for another process to end its writing, as MLflow waits
ELSEWHERE = "set MLFLOW_TRACKING_URI"
DEFAULT = "mlruns"  # the folder that MLflow itself chooses, for its experiment `Default`
JOURNALS = ["-journal", "-wal", "-shm"]  # what SQLite writes beside a file
PATHS = {  # the columns in which MLflow keeps absolute URIs of artifacts
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}


def is_there(database: Path) -> bool:
    """Whether there is such a store; an empty file is none.

    Raises:
        UserError: there is something else.
    """
    if database.is_dir():
        raise UserError(f"{database}: a folder, where MLflow keeps a file; move it away, or {ELSEWHERE}")
    if not database.exists() or database.stat().st_size == 0:
        return False
    with closing(sqlite3.connect(database, timeout=WAIT)) as connection:
        tables = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table'").fetchone()
        ours = connection.execute("SELECT 1 FROM pragma_table_info('experiments') WHERE name = 'artifact_location'")
        if tables and not ours.fetchone():
            # MLflow would add its tables
            raise UserError(f"{database}: not MLflow's, or damaged; move {database}* away, or {ELSEWHERE}")
    return True


def set_up(database: Path, experiments: Iterable[str]) -> None:
    """Make a store with these experiments, whole or not at all. To be called while `place.exclusive_store` is held.

    MLflow makes it in some fifty steps, and can use none that lacks one of them. What a process that was killed while
    it wrote an earlier file has left beside it goes: SQLite would change the new file by it.
    """
    from mlflow import MlflowClient

    for cut_off in database.parent.glob(f"{database.name}.new-*"):
        shutil.rmtree(cut_off)
    with tempfile.TemporaryDirectory(prefix=f"{database.name}.new-", dir=database.parent) as aside:
        fresh = Path(aside, database.name)
        client = MlflowClient(f"{SQLITE}{quote(str(fresh))}")
        for name in experiments:
            client.create_experiment(name, database.with_name(ARTIFACTS).as_uri())
        for suffix in JOURNALS:
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        fresh.replace(database)
        files.sync(database.parent)


def was_moved(database: Path, experiments: Iterable[str]) -> bool:
    """Whether the store names files that are not those beside it."""
    with closing(sqlite3.connect(database, timeout=WAIT)) as connection:
        return bool(_moved(connection, database, experiments))


def bring_home(database: Path, experiments: Iterable[str]) -> None:
    """Make the store name the files beside it, if it was moved or copied here; stderr says so.

    MLflow keeps absolute paths. Those of a copied store lead to the original's files, and what is logged goes there.
    To be called while `place.exclusive_store` is held.
    """
    here = database.with_name(ARTIFACTS)
    with closing(sqlite3.connect(database, timeout=WAIT)) as connection, connection:
        for location in _moved(connection, database, experiments):
            there, named = _path(location), _named(connection, location)
            absent = [path for path in named - _held(here, named) if path in _held(there, named) or _is_model(path)]
            _replace(connection, location, here.as_uri())
            _replace(connection, str(there.with_name(DEFAULT)), str(here.with_name(DEFAULT)))
            lack = f"; {len(absent)} of {len(named)} folders are not there: {BRING}" if absent else ""
            print(f"{database}: moved or copied; its files were in {there}, now in {here}{lack}", file=sys.stderr)


def _moved(connection: sqlite3.Connection, database: Path, experiments: Iterable[str]) -> list[str]:
    """Where the files lay, as the store names it."""
    names, here = list(experiments), database.with_name(ARTIFACTS).as_uri()
    locations = f"SELECT DISTINCT artifact_location FROM experiments WHERE name IN ({', '.join('?' * len(names))})"
    found = [location for (location,) in connection.execute(locations, names)]
    return [place for place in found if place != here and _was_beside(database, place, _named(connection, place))]


def _named(connection: sqlite3.Connection, location: str) -> set[str]:
    """The folders of runs and models that the store names there, as paths below it."""
    columns = [f"SELECT {column} FROM {table}" for table, column in PATHS.items() if table != "experiments"]
    uris = {uri for (uri,) in connection.execute(" UNION ".join(columns)) if uri}
    return {unquote(uri.removeprefix(f"{location}/")) for uri in uris if uri.startswith(f"{location}/")}


def _held(folder: Path, named: set[str]) -> set[str]:
    return {path for path in named if (folder / path).exists()}


def _is_model(path: str) -> bool:
    """Whether there must have been files: a run may have none."""
    return path.startswith("models/")


def _replace(connection: sqlite3.Connection, there: str, here: str) -> None:
    for table, column in PATHS.items():
        connection.execute(
            f"UPDATE {table} SET {column} = :here || substr({column}, length(:there) + 1)"
            f" WHERE {column} = :there OR substr({column}, 1, length(:there) + 1) = :there || '/'",
            {"there": there, "here": here},
        )


def _was_beside(database: Path, location: str, named: set[str]) -> bool:
    """Whether these are the files that lay beside the store, and not such as are kept elsewhere.

    What the store names is beside it now, or at least no longer where it was.
    """
    there = _path(location)
    if not location.startswith("file:") or there.name != ARTIFACTS:
        return False
    return bool(_held(database.with_name(ARTIFACTS), named)) or not _held(there, named)


def _path(location: str) -> Path:
    return Path(unquote(urlsplit(location).path))
