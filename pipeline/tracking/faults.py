"""What goes wrong with MLflow and the stores behind it: one line that says what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

from pipeline.runtime.errors import UserError
from pipeline.tracking.place import database, shown, without_passwords

CHECK = "check MLFLOW_TRACKING_URI"
START = f"start it, or {CHECK}"
AWAY = "move {files} away; make sync-mlflow fills a new one from what DVC has"
USER = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
FAULTS = [  # what the text of an error holds, what that means, and what to do
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted", "name its CA in MLFLOW_TRACKING_SERVER_CERT_PATH"),
    (r"SSLError|\[SSL", "it does not speak TLS", f"{CHECK}: http://?"),
    ("Invalid Host header", "it does not know this host name", "start it with --allowed-hosts"),
    ("[Ee]rror code 401|password authentication failed", "user or password is wrong or missing", USER),
    ("[Ee]rror code 403|PERMISSION_DENIED", "this user may not write there", f"{USER} of one who may"),
    ("[Ee]rror code 404|response body was not in a valid JSON", "no MLflow there", CHECK),
    (
        "5.. Server Error.*mlflow-artifacts|mlflow-artifacts.*too many 5..",
        "its store of files refuses them",
        "look into its log, and start it again: it makes its bucket",
    ),
    ("[Ee]rror code 5..|too many 5.. error", "it failed", f"look into its log, or {CHECK}"),
    ("timed out|timeout expired", "no answer", START),
    ("Max retries exceeded|Connection aborted|[Cc]onnection refused|could not translate host", "no connection", START),
    (
        "unsupported URI|filesystem tracking backend|(?i:invalid (sqlite )?url)|(Could not|Failed to) parse|No host",
        "not a URI of MLflow",
        f"{CHECK}: http://HOST:PORT, https://HOST, sqlite:////FOLDER/mlflow.db, postgresql://HOST/NAME",
    ),
    (
        "No such artifact",
        "its files are gone",
        "bring mlartifacts back, try make sync-mlflow, or take a folder such as data/model",
    ),
    ("No module named", "", f"install it, or {CHECK}"),
    (r"database or disk is full|disk I/O error|Errno 2[78]\b|Errno 122", "the disk is full", "make room"),
    ("malformed|is not a database|no such column|codec can't decode|not decode to UTF-8", "the file is damaged", AWAY),
    (r"Errno (17|20)\b", "", "move that file away: MLflow keeps a folder there"),
    (r"Errno 2\b", "", "make its folder, or bring it back"),
    ("found version None|table .* already exists|no such table", "its set-up was cut off", AWAY),
    (
        "out-of-date database schema",
        "made by another version of MLflow",
        "by an older one: mlflow db upgrade {uri}; by a newer one: install that",
    ),
    ("database is locked", "another program keeps it locked", "end that"),
    (
        r"readonly database|unable to open database|Errno (1|13|30)\b",
        "it cannot be written",
        "get write permission for the file, its folder and mlartifacts",
    ),
]


@contextmanager
def mlflow_errors() -> Iterator[None]:
    """Turn what MLflow and the stores behind it raise into a `UserError`: it must not cost finished work."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"MLflow at {shown()}: {explain(error)}") from None


def explain(error: Exception, otherwise: str = "") -> str:
    """What is wrong and what to do, without passwords; `otherwise` is what to do about all that is not known here."""
    text = str(error)
    file = database()
    files = (
        quote(str(file)) + "*" if file else "it"
    )  # SQLite would take a journal that stays behind for the next file's
    unknown = ("", "", otherwise or (f"if the file is damaged, {AWAY}" if file else CHECK))
    what, remedy = next((what, remedy) for sign, what, remedy in [*FAULTS, unknown] if re.search(sign, text))
    return f"{what or first_line(error)}; {remedy.format(uri=quote(shown()), files=files)}"


def first_line(error: Exception) -> str:
    """Of its text, or its name where it has none; without passwords."""
    return without_passwords((str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". "))
