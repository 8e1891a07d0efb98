"""All that a server has, in a folder: PostgreSQL's databases, the buckets' files, and the keys of members."""

import json
import shutil
from pathlib import Path

from pipeline.runtime.errors import UserError
from pipeline.runtime.progress import bar
from pipeline.team import object_store, tools
from pipeline.team.server import ADMIN, ARTIFACTS, DATA, DATABASES, LOGINS, MLFLOW, Server

BUCKETS = (DATA, ARTIFACTS)
KEYS = "keys.json"  # user and password of each member: whoever has the folder may log in
RUNS = "SELECT count(*) FROM runs"
HASH = f"SELECT password_hash FROM users WHERE username = '{ADMIN}'"


def write(server: Server, folder: Path) -> int:
    """Make the folder, whole or not at all. The databases come first: a row's files are there before the row.

    Returns:
        The number of files from the buckets.

    Raises:
        UserError: there is such a folder, or the server is not up.
    """
    if folder.exists():
        raise UserError(f"{folder}: is there already; give a new folder")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    for name in DATABASES:
        (partial / f"{name}.dump").write_bytes(tools.postgres(server, "pg_dump", "--format=custom", name))
    (partial / KEYS).write_text(json.dumps(object_store.keys(server)))
    count = sum(copy_bucket(server, bucket, partial / bucket) for bucket in BUCKETS)
    partial.rename(folder)
    return count


def copy_bucket(server: Server, bucket: str, folder: Path) -> int:
    """Copy a bucket into a folder; return the number of its files."""
    store = object_store.client(server)
    names = object_store.list_files(server, bucket)
    folder.mkdir()
    for name in bar(names, bucket, len(names), "file"):
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"bucket {bucket}: {name} would leave {folder}; remove it from the bucket")
        path.parent.mkdir(parents=True, exist_ok=True)
        store.download_file(bucket, name, str(path))
    return len(names)


def restore(server: Server, folder: Path) -> int:
    """Put back what `write` has written. The administrator's password stays that of this server.

    Returns:
        The number of files.

    Raises:
        UserError: it is no backup, or the server has runs already or is not up.
    """
    if missing := [
        name for name in [*BUCKETS, KEYS, *(f"{name}.dump" for name in DATABASES)] if not (folder / name).exists()
    ]:
        raise UserError(f"{folder}: no backup ({missing[0]} is missing); give a folder that make backup has written")
    if tools.query(server, MLFLOW, RUNS) != "0":
        raise UserError(f"{server.url}: has runs, which a restore would replace; start a server with an empty folder")
    own_hash = tools.query(server, LOGINS, HASH)
    store, count = object_store.client(server), 0
    for bucket in BUCKETS:
        paths = [path for path in (folder / bucket).rglob("*") if path.is_file()]
        for path in bar(paths, bucket, len(paths), "file"):
            store.upload_file(str(path), bucket, path.relative_to(folder / bucket).as_posix())
        count += len(paths)
    for name in DATABASES:
        dump = (folder / f"{name}.dump").read_bytes()
        tools.postgres(server, "pg_restore", "--clean", "--if-exists", "--single-transaction", "-d", name, given=dump)
    tools.query(server, LOGINS, f"UPDATE users SET password_hash = '{own_hash}' WHERE username = '{ADMIN}'")
    for member, password in json.loads((folder / KEYS).read_text()).items():
        object_store.set_key(server, member, password)
    return count
