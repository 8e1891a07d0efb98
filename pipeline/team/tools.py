"""The tools of PostgreSQL and SeaweedFS, where the server runs: on this machine, or in its containers."""

import os
import subprocess

from pipeline.runtime.errors import UserError
from pipeline.team import local
from pipeline.team.server import COMPOSE, OWNER, Server


def postgres(server: Server, tool: str, *arguments: str, given: bytes = b"") -> bytes:
    """What a tool of PostgreSQL prints, such as `pg_dump`; `given` is its stdin.

    Raises:
        UserError: it fails.
    """
    if not server.folder:
        return _run([*_compose("postgres"), tool, "-U", OWNER, *arguments], given, {})
    program = local.postgres_tools(server.folder / "postgres") / tool
    place = ["-h", "127.0.0.1", "-p", str(server.postgres_port), "-U", OWNER]
    return _run([str(program), *place, *arguments], given, {"PGPASSWORD": server.postgres_password})


def query(server: Server, database: str, statement: str) -> str:
    """What PostgreSQL answers to one statement, as bare text.

    Raises:
        UserError: it cannot be reached, or refuses.
    """
    return postgres(server, "psql", "-qtA", "-d", database, given=statement.encode()).decode().strip()


def weed_shell(server: Server, *lines: str) -> str:
    """What the shell of SeaweedFS prints for these lines.

    Raises:
        UserError: it cannot be reached.
    """
    if server.folder:
        _, master, master_grpc, _, _, filer, filer_grpc, _ = server.s3_ports
        place = [f"-master=127.0.0.1:{master}.{master_grpc}", f"-filer=127.0.0.1:{filer}.{filer_grpc}"]
        command = [local.weed(), "shell", *place]
    else:
        command = [*_compose("seaweedfs"), "weed", "shell", "-master=localhost:9333", "-filer=localhost:8888"]
    return _run(command, "\n".join([*lines, ""]).encode(), {}).decode()


def _compose(service: str) -> list[str]:
    return ["docker", "compose", "--env-file", ".env", "--file", str(COMPOSE), "exec", "-T", service]


def _run(command: list[str], given: bytes, environment: dict[str, str]) -> bytes:
    done = subprocess.run(
        command, input=given, env=os.environ | environment, capture_output=True, check=False, timeout=3600
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise UserError(f"{command[0]}: {said[-1]}; is the server up? see python -m pipeline.serve")
    return done.stdout
