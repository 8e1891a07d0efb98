"""The embedded store: an SQLite file, with its artifacts in `mlartifacts/` beside it."""

import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pipeline import files
from pipeline.errors import UserError
from pipeline.tracking.place import ARTIFACTS, SQLITE

WAIT = 20.0  # seconds for another process to end its writing, as MLflow waits
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
        raise UserError(f"{database}: a folder, where MLflow keeps a file; move it away, or set MLFLOW_TRACKING_URI")
    return database.exists() and database.stat().st_size > 0


def set_up(database: Path, experiments: Iterable[str]) -> None:
    """Make a store with these experiments, whole or not at all. To be called while `place.alone` is held.

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
    To be called while `place.alone` is held.
    """
    here = database.with_name(ARTIFACTS)
    with closing(sqlite3.connect(database, timeout=WAIT)) as connection, connection:
        for location in _moved(connection, database, experiments):
            there = _path(location)
            _replace(connection, location, here.as_uri())
            _replace(connection, str(there.with_name(DEFAULT)), str(here.with_name(DEFAULT)))
            print(f"{database}: moved or copied; its files were in {there}, now in {here}", file=sys.stderr)


def _moved(connection: sqlite3.Connection, database: Path, experiments: Iterable[str]) -> list[str]:
    """Where the files lay, as the store names it."""
    names, here = list(experiments), database.with_name(ARTIFACTS).as_uri()
    locations = f"SELECT DISTINCT artifact_location FROM experiments WHERE name IN ({', '.join('?' * len(names))})"
    found = [location for (location,) in connection.execute(locations, names)]
    return [location for location in found if location != here and _was_beside(database, location)]


def _replace(connection: sqlite3.Connection, there: str, here: str) -> None:
    for table, column in PATHS.items():
        connection.execute(
            f"UPDATE {table} SET {column} = :here || substr({column}, length(:there) + 1)"
            f" WHERE {column} = :there OR substr({column}, 1, length(:there) + 1) = :there || '/'",
            {"there": there, "here": here},
        )


def _was_beside(database: Path, location: str) -> bool:
    """Whether these are the files that lay beside the store, and not such as were always kept elsewhere."""
    there = _path(location)
    if not location.startswith("file:") or there.name != ARTIFACTS:
        return False
    return database.with_name(ARTIFACTS).exists() or not there.exists() or there.with_name(database.name).exists()


def _path(location: str) -> Path:
    return Path(unquote(urlsplit(location).path))
