"""Where MLflow keeps the runs: a server, or a file of the repository with its artifacts beside it."""

import os
import re
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote

from pipeline import lineage
from pipeline.runtime import files
from pipeline.runtime.errors import UserError

SQLITE = "sqlite:///"
ARTIFACTS = "mlartifacts"
WAIT = 60.0  # seconds for another process to reach the store; to set up a fresh one takes a few
WAIT_FOR_ROWS = 600.0  # seconds for another to complete a row; over a slow line the model takes minutes


def uri() -> str:
    """Of the tracking server or store; a relative path of a database is taken from the main checkout.

    It may hold a password: messages show `shown` instead.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI", "").strip().rstrip("/") or f"{SQLITE}mlflow.db"
    given = re.sub(r"(?i)^sqlite(\+pysqlite)?:///", SQLITE, given)  # two names of one driver
    if not given.startswith(SQLITE) or given.startswith(f"{SQLITE}/"):
        return given
    folder = str(lineage.root()).replace("%", "%25").replace("?", "%3F")  # as SQLAlchemy reads it
    return f"{SQLITE}{folder}/{given.removeprefix(SQLITE)}"


def is_server() -> bool:
    """Whether MLflow is reached over HTTP."""
    return uri().lower().startswith(("http://", "https://"))


def shown() -> str:
    """The URI as it may be shown."""
    return without_passwords(uri())


def without_passwords(text: str) -> str:
    """The text without the user and password of any URI in it."""
    text = re.sub(r"\b(?!sqlite|file)(\w[\w+.-]*):/+\S*@", r"\1://", text)
    return re.sub(r"(?i)(pass\w*|pwd|token|secret|sslkey)=[^&\s]*", r"\1=***", text)


def database() -> Path | None:
    """The file of an embedded store; None where it is a server's, or a database's."""
    if not uri().startswith(SQLITE):
        return None
    return Path(unquote(uri().removeprefix(SQLITE).partition("?")[0]))


def artifacts() -> Path:
    """The folder of files where no server keeps them: beside the embedded store."""
    return (database() or lineage.root() / "mlflow.db").with_name(ARTIFACTS)


def exclusive_store() -> AbstractContextManager[None]:
    """To hold while no other process may reach the store; of a server, no other of this repository.

    Raises:
        UserError: the folder of the store is not there, or another process goes on holding it.
    """
    return _exclusive_lock("lock", WAIT)


def exclusive_rows() -> AbstractContextManager[None]:
    """To hold while no other process may complete rows, which others need not wait for to reach the store.

    Raises:
        UserError: as `exclusive_store`.
    """
    return _exclusive_lock("rows.lock", WAIT_FOR_ROWS)


def _exclusive_lock(suffix: str, wait: float) -> AbstractContextManager[None]:
    file = database()
    if file and not file.parent.is_dir():
        raise UserError(f"MLflow at {shown()}: no folder {file.parent}; make it, or check MLFLOW_TRACKING_URI")
    lock = Path(f"{file or lineage.root() / '.cache/mlflow'}.{suffix}")
    return files.exclusive_lock(lock, wait, f"MLflow at {shown()}: another process holds {lock}")
