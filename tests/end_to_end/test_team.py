"""A team: a server with PostgreSQL, an S3 store and MLflow with a login, two members, two clones."""

import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import requests
from dotenv import dotenv_values

from pipeline.runtime.errors import UserError
from tests.clone import Clone, finish, wait_until
from tests.mlflow_server import free_port


def missing() -> str:
    """What the server needs and this machine lacks."""
    lacking = [package for package in ("boto3", "dvc_s3", "flask_wtf", "psycopg") if not find_spec(package)]
    if lacking:
        return f"{lacking[0]} is not installed: make install"
    from pipeline.team import local

    try:
        local.postgres_tools(Path("none"))
        local.weed()
    except UserError as error:
        return str(error)
    return ""


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]


class Team:
    """The server, in a folder that PostgreSQL's own user may enter, and where its administrator is."""

    def __init__(self, folder: Path, admin: Clone) -> None:
        self.folder, self.admin = folder, admin
        self.port, self.s3_port = free_ports(2), free_ports(8)
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        ports = ["--port", str(self.port), "--s3-port", str(self.s3_port)]
        self.process = self.admin.start("python", "-u", "-m", "pipeline.serve", str(self.folder / "data"), *ports)
        said = []
        for line in self.process.stdout:
            said.append(line)
            if line.startswith("a member: make member"):
                return
        raise AssertionError("".join(said) + finish(self.process)[1])

    def programs(self) -> dict[str, psutil.Process]:
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):  # it has just been killed
                found[Path(child.cmdline()[0]).name] = child
        return found

    def stop(self) -> None:
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        said, _ = finish(self.process)
        assert self.process.returncode == 0
        assert said == f"stopped; the data is in {self.folder / 'data'}\n"
        assert not psutil.wait_procs(children, timeout=10)[1]

    def member(self, name: str) -> str:
        """Let them in; their password."""
        said = self.admin.mendline("member", name)
        return re.search(rf"^{name} .*: (\S+)$", said, re.MULTILINE)[1]


def free_ports(count: int) -> int:
    """The first of so many that nobody listens on."""
    return wait_until(lambda: first_of(count), pause=0)


def first_of(count: int) -> int | None:
    first = free_port()
    taken = {connection.laddr.port for connection in psutil.net_connections("tcp")}
    return first if first + count < 60000 and not taken & set(range(first, first + count)) else None


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="mendline-team-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def ann(undisturbed, tmp_path_factory) -> Clone:
    """A clone whose pipeline has run, before there was a server."""
    place = tmp_path_factory.mktemp("team") / "ann"
    shutil.copytree(
        undisturbed.folder, place, symlinks=True, ignore=shutil.ignore_patterns("mlflow.db", "mlartifacts", ".env")
    )
    copy = Clone(place)
    copy.commit()
    copy.run("git", "clone", "--quiet", "--bare", ".", str(place.parent / "hub"))
    copy.run("git", "remote", "add", "origin", str(place.parent / "hub"))
    return copy


@pytest.fixture(scope="module")
def team(folder, ann) -> Iterator[Team]:
    running = Team(folder, Clone(ann.folder.parent / "admin"))
    yield running
    if running.process.poll() is None:
        running.stop()


def delete_bucket(team: Team, name: str) -> None:
    import boto3

    password = dotenv_values(team.admin.folder / ".env")["TEAM_ADMIN_PASSWORD"]
    login = {"aws_access_key_id": "admin", "aws_secret_access_key": password, "region_name": "us-east-1"}
    bucket = boto3.resource("s3", endpoint_url=f"http://127.0.0.1:{team.s3_port}", **login).Bucket(name)
    bucket.objects.delete()
    bucket.delete()


def join(clone: Clone, team: Team, name: str, password: str) -> str:
    clone.environment["MLFLOW_TRACKING_PASSWORD"] = password
    said = clone.mendline("join", team.url, "--name", name)
    del clone.environment["MLFLOW_TRACKING_PASSWORD"]  # from now on it is in .env
    return said


def table(clone: Clone) -> str:
    """The experiments as the clone has them, and whether MLflow has the same."""
    return clone.mendline("compare")


def refused(clone: Clone, *command: str) -> str:
    """The one line with which a command ends."""
    with clone.start("python", "-m", *command) as process:
        _, errors = finish(process)
    assert process.returncode == 1
    (line,) = errors.splitlines()
    return line


def test_what_one_member_made_the_other_has_and_nothing_runs(team, ann):
    said = join(ann, team, "ann", team.member("ann"))
    assert f"joined as ann: MLflow {team.url}, data s3://mendline/dvc" in said
    assert dotenv_values(ann.folder / ".env")["MLFLOW_TRACKING_USERNAME"] == "ann"
    assert (ann.folder / ".env").stat().st_mode & 0o077 == 0
    secret = dotenv_values(ann.folder / ".env")["MLFLOW_TRACKING_PASSWORD"]
    assert secret not in (ann.folder / ".dvc/config").read_text()
    ann.run("git", "check-ignore", ".env", ".dvc/config.local")
    ann.commit()
    ann.run("git", "push", "--quiet", "origin", "HEAD")
    ann.run("dvc", "exp", "run", "--temp", "--name", "wider", "--set-param", "evaluate.radius=4")
    said = ann.mendline("share")
    assert "data of the workspace and 1 experiments -> s3://mendline/dvc: " in said
    assert re.search(r"^experiments -> origin: .*wider", said, re.MULTILINE)
    assert f"rows -> {team.url}: " in said

    ann.run("git", "clone", "--quiet", str(ann.folder.parent / "hub"), str(ann.folder.parent / "bob"))
    bob = Clone(ann.folder.parent / "bob")
    said = join(bob, team, "bob", team.member("bob"))
    assert "wider" in said
    assert "dvc repro has nothing to run\nMLflow: nothing to add\n" in said
    assert "Running stage" not in bob.run("dvc", "repro", "--pull", "--allow-missing")
    assert (bob.folder / "dvc.lock").read_bytes() == (ann.folder / "dvc.lock").read_bytes()
    shown = table(bob)
    assert shown == table(ann)
    assert shown.count("the same") == 3  # the workspace, the commit, the experiment


@pytest.fixture
def bob(team, ann) -> Clone:
    return Clone(ann.folder.parent / "bob")


def test_a_server_that_is_killed_comes_back_with_all_it_had(team, bob):
    for name, program in team.programs().items():
        program.kill()
        wait_until(lambda name=name, old=program.pid: name in team.programs() and team.programs()[name].pid != old)
    wait_until(lambda: answers(f"{team.url}/health") and answers(f"http://127.0.0.1:{team.s3_port}/healthz"), pause=0.2)
    assert table(bob).count("the same") == 3
    shutil.rmtree(bob.folder / ".dvc/cache")
    (bob.folder / "data/model/generator.safetensors").unlink()
    bob.run("dvc", "pull", "--force")
    assert (bob.folder / "data/model/generator.safetensors").exists()


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def test_a_member_who_may_not_is_told_before_any_work(team, bob):
    config = (bob.folder / ".env").read_text()
    team.member("bob")  # who has not heard of the new password
    line = refused(bob, "pipeline.corrupt")
    assert "user or password is wrong or missing; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in line
    line = refused(bob, "pipeline.commands.main", "share")
    assert line.startswith(f"error: MLflow at {team.url}: user or password is wrong")
    admin = ("admin", dotenv_values(team.admin.folder / ".env")["TEAM_ADMIN_PASSWORD"])
    reader = {"username": "guest", "password": "a long password"}
    requests.post(f"{team.url}/api/2.0/mlflow/users/create", json=reader, auth=admin, timeout=60).raise_for_status()
    bob.environment |= {"MLFLOW_TRACKING_USERNAME": "guest", "MLFLOW_TRACKING_PASSWORD": reader["password"]}
    line = refused(bob, "pipeline.corrupt")
    assert "this user may not write there; set MLFLOW_TRACKING_USERNAME" in line
    assert (bob.folder / ".env").read_text() == config
    assert team.admin.mendline("member", "bob", "--remove") == "bob may no longer log in; the rows and data stay\n"


def test_a_backup_brings_back_every_row_and_file(team, ann, folder):
    before = table(ann)
    said = team.admin.mendline("backup", str(folder / "backup"))
    assert re.match(rf"{folder}/backup: the rows, the members and \d\d+ files; make restore", said)
    with team.admin.start("python", "-m", "pipeline.commands.main", "restore", str(folder / "backup")) as process:
        _, errors = finish(process)
    assert errors.startswith(f"error: {team.url}: has runs, which a restore would replace")
    delete_bucket(team, "mendline")
    line = refused(ann, "pipeline.commands.main", "share")
    assert line.startswith("error: DVC's remote s3://mendline/dvc: no such bucket; ")
    delete_bucket(team, "mlflow")
    assert ": its store of files refuses them; " in refused(ann, "pipeline.corrupt")
    team.stop()
    shutil.rmtree(folder / "data")
    team.start()
    team.admin.mendline("restore", str(folder / "backup"))
    assert table(ann) == before
    shutil.rmtree(ann.folder / ".dvc/cache")
    ann.run("dvc", "pull", "--force")
    assert ann.mendline("sync") == "MLflow: nothing to add\n"
