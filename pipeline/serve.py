"""Run the server of a team on this machine: PostgreSQL, an S3 store (SeaweedFS) and MLflow with a login.

It runs until Ctrl-C, and the next call goes on where it was. Secrets are made once, into .env, which git ignores.
`make member NAME=...` lets someone in.
"""

from pathlib import Path
from urllib.parse import urlsplit

from pipeline.runtime import command_line

if __name__ == "__main__":
    line = command_line.parser("python -m pipeline.serve", __doc__)
    line.add_argument("folder", nargs="?", type=Path, help="where the data lies, such as /srv/mendline")
    line.add_argument("--docker", action="store_true", help="in containers instead, with the data in docker's volumes")
    line.add_argument("--url", help="what members call, http://HOST:5000; by default this machine alone can")
    line.add_argument("--s3-url", help="the same of the S3 store; by default the host of --url, port 8333")
    line.add_argument("--port", type=int, default=5000, help="where MLflow listens; PostgreSQL takes the next")
    line.add_argument("--s3-port", type=int, default=8333, help="where the S3 store listens; it takes seven more")
    options = command_line.read(line)

import signal
import subprocess
import threading

from pipeline.runtime import environment, files, stop
from pipeline.runtime.errors import UserError, one_line_errors
from pipeline.team import local, object_store, processes, server
from pipeline.team.server import ADMIN, DATA, Server
from pipeline.tracking import members


def main(folder: Path | None, docker: bool, url: str | None, s3_url: str | None, port: int, s3_port: int) -> None:
    """Start the server, set it up, and keep it running; in docker, which keeps it running, only the first two.

    Raises:
        UserError: a program is missing or does not start, or a port is taken.
    """
    if bool(folder) == docker:
        raise UserError("give a folder for the data, or --docker; see python -m pipeline.serve --help")
    url = (url or f"http://127.0.0.1:{port}").rstrip("/")
    server.check_url(url)
    address = urlsplit(url)
    s3_url = (s3_url or f"{address.scheme}://{address.hostname}:{s3_port}").rstrip("/")
    server.describe(url, s3_url, port, s3_port, folder)
    team = server.described()
    if folder:
        serve(team, folder.resolve())
    else:
        compose("up", "--detach", "--wait", "--build")
        set_up(team)


def serve(team: Server, folder: Path) -> None:
    """Run the programs until a signal comes."""
    stopped = threading.Event()
    for number in stop.SIGNALS:
        signal.signal(number, lambda *_: stopped.set())
    folder.mkdir(parents=True, exist_ok=True)
    with files.exclusive_lock(folder / "serve.lock", 0, f"{folder}: another server uses it"):
        processes.run(local.programs(team, folder), lambda: set_up(team), stopped)
    print("stopped; the data is in", folder)


def compose(*arguments: str) -> None:
    """Run `docker compose` on the team's services.

    Raises:
        UserError: it fails; docker has said why.
    """
    place = ["--env-file", environment.ENV, "--file", str(server.COMPOSE)]
    try:
        done = subprocess.run(["docker", "compose", *place, *arguments], check=False)
    except FileNotFoundError:
        raise UserError("docker is not installed; without it: python -m pipeline.serve FOLDER") from None
    if done.returncode:
        raise UserError("docker compose failed, as it says above; without docker: python -m pipeline.serve FOLDER")


def set_up(team: Server) -> None:
    """Make the buckets, the experiments and the role of members, and say how to go on."""
    object_store.make_buckets(team)
    server.become_admin(team)
    members.set_up(f"s3://{DATA}/dvc", team.s3_url)
    print(f"MLflow {team.url}, S3 store {team.s3_url}; user {ADMIN}, its password is TEAM_ADMIN_PASSWORD in .env")
    print(f"a member: make member NAME=ann; on their machine: make join URL={team.url} NAME=ann", flush=True)


if __name__ == "__main__":
    with one_line_errors():
        main(**vars(options))
