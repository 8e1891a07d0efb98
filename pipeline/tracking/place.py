"""Where MLflow keeps the runs: a server, or a file of the repository with its artifacts beside it."""

import os
import re
from pathlib import Path
from urllib.parse import unquote

from filelock import FileLock

from pipeline import lineage
from pipeline.errors import UserError

SQLITE = "sqlite:///"
ARTIFACTS = "mlartifacts"


def uri() -> str:
    """Of the tracking server or store; a relative path of a database is taken from the main checkout.

    It may hold a password: messages show `shown` instead.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI", "").strip().rstrip("/") or f"{SQLITE}mlflow.db"
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


def alone() -> FileLock:
    """To hold while no other process may use the store; of a server, no other of this repository.

    Raises:
        UserError: the folder of the store is not there.
    """
    file = database()
    if not file:
        return FileLock(lineage.root() / ".cache/mlflow.lock")
    if not file.parent.is_dir():
        raise UserError(f"MLflow at {shown()}: no folder {file.parent}; make it, or check MLFLOW_TRACKING_URI")
    return FileLock(f"{file}.lock")
