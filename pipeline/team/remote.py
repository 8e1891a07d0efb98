"""DVC's remote of a team: where it is, in the repository; its keys, in this clone alone."""

import re
from typing import Any

from dvc.repo import Repo

from pipeline.runtime.errors import UserError, one_line

NAME = "team"
FAULTS = {  # what the text or the name of an error holds, what that means and what to do
    "InvalidAccessKeyId|SignatureDoesNotMatch|401|AuthFailed|PermissionDenied": (
        "user or password is wrong or has expired",
        "make join URL=... NAME=... again, with the password that make member shows",
    ),
    "AccessDenied|PermissionError|Forbidden|403": ("this user may not write there", "ask for make member NAME=..."),
    "NoSuchBucket|bucket does not exist": ("no such bucket", "start the server again, which makes it"),
    "Connect|resolve|Timeout|timed out|unreachable": ("no connection", "is the server up?"),
    "No module named|requires|is supported, but": ("a package is missing", "make install, or pip install .[team]"),
}


def options(url: str, s3_url: str, name: str, password: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What DVC must know of a remote: for everybody, and for this clone alone.

    Args:
        url: of the remote, such as s3://BUCKET/FOLDER, ssh://HOST/FOLDER, webdavs://HOST/FOLDER, /FOLDER.
        s3_url: of the server's S3 store; empty where the remote is elsewhere.
        name: of the member.
        password: of the member, which is the S3 store's key too.
    """
    if s3_url and url.startswith("s3://"):
        return {"url": url, "endpointurl": s3_url}, {"access_key_id": name, "secret_access_key": password}
    if url.startswith(("webdav://", "webdavs://")):
        return {"url": url}, {"user": name, "password": password}
    return {"url": url}, {}


def as_default(options: dict[str, Any]) -> dict[str, Any]:
    """DVC's configuration with the team's remote alone."""
    return {"core": {"remote": NAME}, "remote": {NAME: options}}


def configure(repo: Repo, shared: dict[str, Any], own: dict[str, Any]) -> bool:
    """Make it the default remote. What is shared is in the clone's own configuration too, so that the data of
    commits from before it finds its way.

    Returns:
        Whether `.dvc/config` has changed, and wants to be committed.
    """
    with repo.config.edit("repo") as config:
        before = dict(config["remote"].get(NAME, {})), config["core"].get("remote")
        config["remote"][NAME] = shared
        config["core"].setdefault("remote", NAME)
        changed = before != (shared, config["core"]["remote"])
    with repo.config.edit("local") as config:
        config["remote"][NAME] = shared | own
        config["core"]["remote"] = NAME
    return changed


def check(repo: Repo) -> str:
    """Write to the default remote and remove what was written; its base folder is made.

    Returns:
        Its URL.

    Raises:
        UserError: there is no remote, or it cannot be written.
    """
    name = repo.config["core"].get("remote")
    if not name:
        raise UserError("DVC has no remote; make join URL=..., or dvc remote add -d NAME URL")
    url = repo.config["remote"][name]["url"]
    try:
        odb = repo.cloud.get_remote_odb(name)
        if not url.startswith("s3://"):  # which has no folders
            odb.fs.makedirs(odb.path, exist_ok=True)
        probe = odb.fs.join(odb.path, "probe")
        with odb.fs.open(probe, "wb") as file:
            file.write(b"a member may write")
        odb.fs.remove(probe)
    except Exception as error:
        said = f"{type(error).__name__} {error} {error.__cause__ or ''}"
        otherwise = (one_line(str(error)), "see .dvc/config and .dvc/config.local")
        what, remedy = next((words for sign, words in FAULTS.items() if re.search(sign, said)), otherwise)
        raise UserError(f"DVC's remote {url}: {what}; {remedy}") from None
    return str(url)
