"""Join a team: this clone then has the team's data, experiments and rows, and shares its own by `make share`.

mendline join http://team.example.org:5000 --name ann

The server says where DVC's remote is. It goes into .dvc/config, to be committed; keys go into .dvc/config.local and
user and password into .env, which git ignores. The password is asked for, or taken from MLFLOW_TRACKING_PASSWORD.
"""

import getpass
import logging
import os
import sys
from collections.abc import Callable

from dvc.exceptions import DvcException
from dvc.repo import Repo

from pipeline import lineage
from pipeline.commands import share, sync
from pipeline.commands.dvc_errors import dvc_errors
from pipeline.runtime import environment
from pipeline.runtime.errors import UserError
from pipeline.team import remote
from pipeline.team.server import check_url
from pipeline.tracking import client, members
from pipeline.tracking.faults import first_line

PASSWORD = "MLFLOW_TRACKING_PASSWORD"


def main(url: str, name: str | None, data: str | None) -> None:
    """Log in, note how to, fetch what the team has, and say what is left to do.

    Raises:
        UserError: the server or the remote cannot be used, or refuses the user. Then nothing is noted.
    """
    check_url(url)
    name = name or ask("user: ", input)
    password = ask_password(name)
    login = {"MLFLOW_TRACKING_URI": url.rstrip("/"), "MLFLOW_TRACKING_USERNAME": name, PASSWORD: password}
    os.environ.update(login)
    client.check()
    noted, s3_url = members.where_data_is()
    if not (data or noted):
        raise UserError(f"{url}: does not say where DVC's remote is; give it: make join URL=... REMOTE=s3://...")
    shared, own = remote.options(data or noted, "" if data else s3_url, name, password)
    with dvc_errors(), Repo(config=remote.as_default(shared | own)) as repo:
        where = remote.check(repo)
        changed = remote.configure(repo, shared, own)
        environment.write_env_file(login)
        print(f"joined as {name}: MLflow {url}, data {where}")
        if changed:
            print(
                "commit .dvc/config, so that others find the data: git commit -m 'The remote of the team' .dvc/config"
            )
        fetch(repo)


def ask_password(name: str) -> str:
    """The one that the shell has set, else what the user types; in `.env` may be one that has expired."""
    given, noted = os.environ.get(PASSWORD, ""), environment.noted(PASSWORD)
    if given != noted:
        return given
    if noted and not sys.stdin.isatty():
        return noted
    return ask(f"password of {name}{' (Enter: as before)' if noted else ''}: ", getpass.getpass) or noted


def ask(question: str, how: Callable[[str], str]) -> str:
    """What the user types.

    Raises:
        UserError: nobody can.
    """
    if not sys.stdin.isatty():
        raise UserError("no terminal to ask in; give NAME=..., and the password in MLFLOW_TRACKING_PASSWORD")
    return how(question)


def fetch(repo: Repo) -> None:
    """Fetch the team's experiments, and the data of this commit; then all of it has its rows."""
    logging.getLogger("dvc").setLevel(logging.ERROR)
    if hub := share.git_remote(repo):
        found = list(repo.experiments.pull(hub, all_commits=True))
        print(f"experiments from {hub}: {', '.join(found) or 'none that are not here'}")
    if not lineage.LOCK.exists():
        print("data: this commit has no results; dvc repro makes them, make share sends them")
        return
    try:
        fetched = repo.pull(run_cache=True)["stats"]["fetched"]
    except DvcException as error:
        print(f"data: some of this commit is not there ({first_line(error)}): dvc repro makes it, make share sends it")
        return
    print(f"data: {fetched} files fetched")
    stale = repo.status()
    print(f"dvc repro would run {', '.join(stale)}" if stale else "dvc repro has nothing to run")
    sync.main()
