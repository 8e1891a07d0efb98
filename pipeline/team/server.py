"""What the team's server is made of: where it listens, its secrets, where its data lies."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.runtime import environment
from pipeline.runtime.errors import UserError, excerpt

ADMIN = "admin"  # the user that makes members, in MLflow and in the S3 store
DATABASES = MLFLOW, LOGINS = "mlflow", "logins"  # in PostgreSQL, whose user is `OWNER`
OWNER = "mendline"
DATA, ARTIFACTS = "mendline", "mlflow"  # buckets: DVC's, which members use, and MLflow's, which it alone uses
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
SECRETS = ("TEAM_ADMIN_PASSWORD", "TEAM_POSTGRES_PASSWORD", "TEAM_SECRET_KEY")
COMPOSE = Path("team/compose.yaml")


@dataclass(frozen=True)
class Server:
    """A team's server, as the `TEAM_*` of `.env` describe it.

    `url` and `s3_url` are what members call; `port` and `s3_port` where MLflow and the S3 store listen; `folder` where
    the data lies, None where docker keeps it. Ports of this machine alone follow the two: PostgreSQL's is
    `port` + 1, the others of SeaweedFS are the seven after `s3_port`.
    """

    url: str
    s3_url: str
    port: int
    s3_port: int
    folder: Path | None
    admin_password: str
    postgres_password: str
    secret_key: str

    @property
    def listen(self) -> str:
        """The address to bind."""
        return listen(self.url)

    @property
    def postgres_port(self) -> int:
        """Where PostgreSQL listens, for this machine alone."""
        return self.port + 1

    @property
    def s3_ports(self) -> range:
        """The S3 store's, and those of SeaweedFS that this machine alone may use."""
        return range(self.s3_port, self.s3_port + 8)

    def database(self, name: str) -> str:
        """The URI of one of `DATABASES`, with its password."""
        return f"postgresql://{OWNER}:{self.postgres_password}@127.0.0.1:{self.postgres_port}/{name}"


def describe(url: str, s3_url: str, port: int, s3_port: int, folder: Path | None) -> None:
    """Write a server's `TEAM_*` to `.env`, with secrets where it has none yet.

    Raises:
        UserError: one of the URLs is none.
    """
    for given in (url, s3_url):
        check_url(given)
    made = {name: os.environ.get(name) or secrets.token_urlsafe(24) for name in SECRETS}
    place = {"TEAM_URL": url, "TEAM_S3_URL": s3_url, "TEAM_PORT": str(port), "TEAM_S3_PORT": str(s3_port)}
    place |= {"TEAM_LISTEN": listen(url), "TEAM_FOLDER": str(folder.resolve()) if folder else ""}
    environment.write_env_file(place | made)


def listen(url: str) -> str:
    """The address to bind: of this machine alone where members come through a proxy, or there are none."""
    address = urlsplit(url)
    return "127.0.0.1" if address.scheme == "https" or address.hostname in LOOPBACK else "0.0.0.0"


def check_url(url: str) -> None:
    """Raise `UserError` where it is not the URL of a server."""
    try:
        address = urlsplit(url)
        right = address.scheme in {"http", "https"} and address.hostname and address.port != 0
    except ValueError:
        right = False
    if not right:
        raise UserError(f"{excerpt(url)}: not the URL of a server; expected http://HOST:PORT or https://HOST")


def described() -> Server:
    """The server of this repository.

    Raises:
        UserError: there is none.
    """
    given = os.environ
    try:
        return Server(
            given["TEAM_URL"],
            given["TEAM_S3_URL"],
            int(given["TEAM_PORT"]),
            int(given["TEAM_S3_PORT"]),
            Path(given["TEAM_FOLDER"]) if given.get("TEAM_FOLDER") else None,
            *(given[name] for name in SECRETS),
        )
    except (KeyError, ValueError) as error:
        where = "run this where make server or python -m pipeline.serve was run"
        raise UserError(f"{environment.ENV}: describes no server of a team ({error}); {where}") from None


def become_admin(server: Server) -> None:
    """Reach MLflow as administrator, from this machine."""
    os.environ["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{server.port}"
    os.environ["MLFLOW_TRACKING_USERNAME"] = ADMIN
    os.environ["MLFLOW_TRACKING_PASSWORD"] = server.admin_password
