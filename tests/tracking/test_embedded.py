"""The embedded store on bad days: cut off while it is set up, full disks, moved and copied folders, damage."""

import multiprocessing
import os
import random
import resource
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from fcntl import LOCK_EX, flock
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from mlflow import MlflowClient
from sqlalchemy.exc import OperationalError

from pipeline.runtime.errors import UserError
from pipeline.tracking import place
from pipeline.tracking.client import ROWS, connect, connect_existing, download, prepare

FORK = multiprocessing.get_context("fork")
NOBODY = 65534
AWAY = "mlflow.db* away; make sync-mlflow fills a new one"
CUT_OFF = f"its set-up was cut off; move {{folder}}/{AWAY}"
DAMAGED = f"the file is damaged; move {{folder}}/{AWAY}"


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A folder without a store, which is the repository."""
    return move_to(tmp_path / "repository", monkeypatch)


def move_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


def in_process(work: Callable, *arguments: object) -> object:
    """What `work` returns or raises in a process of its own."""
    with ProcessPoolExecutor(1, FORK) as pool:
        return pool.submit(work, *arguments).result()


def with_file_size(limit: int, work: Callable, *arguments: object) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    work(*arguments)


def as_nobody(work: Callable, *arguments: object) -> object:
    """For root every file can be written."""
    if os.geteuid() == 0:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    return work(*arguments)


def set_up() -> None:
    store = connect()
    run = store.client.create_run(store.rows)
    store.client.log_text(run.info.run_id, "a model", "file.txt")
    store.client.create_registered_model("mendline")
    store.client.create_model_version("mendline", run.info.artifact_uri)


def log(text: str) -> str:
    """A run with a file; where that lies."""
    store = connect()
    run = store.client.create_run(store.rows)
    store.client.log_text(run.info.run_id, text, "file.txt")
    return run.info.artifact_uri


def texts() -> list[str]:
    """The files of all runs, the newest first, as MLflow gives them."""
    store = connect()
    uris = [f"{run.info.artifact_uri}/file.txt" for run in store.search(store.rows)]
    return [Path(unquote(uri.removeprefix("file://"))).read_text() for uri in uris]


KILLS = [pytest.param(10, marks=pytest.mark.long), pytest.param(100, marks=pytest.mark.slow)]


@pytest.mark.parametrize("kills", KILLS)
def test_a_store_whose_set_up_is_killed_again_and_again_is_set_up_in_the_end(kills, repository):
    moments = random.Random(0)
    for _ in range(kills):
        before = {*repository.iterdir(), repository / "mlflow.db.lock"}
        process = FORK.Process(target=connect)
        process.start()
        while process.is_alive() and not set(repository.iterdir()) - before:
            pass
        process.join(moments.uniform(0, 0.7))
        process.kill()
        process.join()
        assert connect_existing() is None or texts() == []
    assert log("whole")
    assert texts() == ["whole"]
    left = {path.name for path in repository.iterdir()}
    assert left == {"mlflow.db", "mlflow.db.lock", "mlartifacts"}


def test_a_full_disk_is_one_line_and_the_next_call_sets_the_store_up(repository):
    with pytest.raises(UserError, match="mlflow.db: the disk is full; make room"):
        in_process(with_file_size, 600 * 1024, connect)
    assert connect_existing() is None
    assert texts() == []


@pytest.mark.parametrize("use", [connect, lambda: prepare(required=True)], ids=["connect", "prepare"])
def test_a_lock_that_another_process_holds_on_to_is_one_line(use, store, tmp_path, monkeypatch):
    monkeypatch.setattr(place, "WAIT", 0.1)
    with (tmp_path / "mlflow.db.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        with pytest.raises(UserError, match="another process holds .*/mlflow.db.lock; wait for it, or end it") as error:
            use()
        assert "\n" not in str(error.value)
    use()


def test_an_empty_file_is_no_store_yet(repository):
    (repository / "mlflow.db").touch()
    assert connect_existing() is None
    assert texts() == []


def test_who_has_the_empty_file_open_never_sees_half_a_store(repository):
    (repository / "mlflow.db").touch()
    with (repository / "mlflow.db").open("rb") as before:
        connect()
        assert before.read() == b""


def die_while_writing(database: Path, mode: str) -> None:
    """With more changes than SQLite's memory holds, so that they are in the file and its journal."""
    connection = sqlite3.connect(database)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("PRAGMA cache_size = 1")
    connection.executemany("INSERT INTO tags VALUES (?, ?, 'c0ffee')", [(str(key), "x" * 400) for key in range(500)])
    connection.commit()
    connection.execute("VACUUM")  # else its pages lie as they do in a fresh file
    connection.execute("DELETE FROM tags")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.long
@pytest.mark.parametrize(("mode", "left"), [("delete", "mlflow.db-journal"), ("wal", "mlflow.db-wal")])
def test_the_journal_of_a_file_that_was_moved_away_is_not_the_new_ones(mode, left, repository):
    in_process(log, "gone")
    died = FORK.Process(target=die_while_writing, args=(repository / "mlflow.db", mode))
    died.start()
    died.join()
    assert left in {path.name for path in repository.iterdir()}
    (repository / "mlflow.db").unlink()
    assert log("whole")
    assert texts() == ["whole"]
    with closing(sqlite3.connect(repository / "mlflow.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_moved_repository_has_its_files_where_it_is(store, tmp_path, monkeypatch, capsys):
    log("first")
    shutil.move(tmp_path, moved := tmp_path.with_name(f"{tmp_path.name} moved, 100%?"))
    move_to(moved, monkeypatch)
    assert texts() == ["first"]
    (line,) = capsys.readouterr().err.splitlines()
    files = f"its files were in {tmp_path}/mlartifacts, now in {moved}/mlartifacts"
    assert line == f"{moved}/mlflow.db: moved or copied; {files}"
    log("second")
    assert texts() == ["second", "first"]
    assert capsys.readouterr().err == ""
    assert not tmp_path.exists()


def test_a_copy_has_its_own_files_and_leaves_the_originals_alone(store, tmp_path, monkeypatch):
    log("both")
    copy = tmp_path.with_name(f"{tmp_path.name}-copy")
    shutil.copytree(tmp_path, copy)
    (file,) = copy.glob("mlartifacts/**/file.txt")
    file.write_text("the copy's")
    before = sorted(tmp_path.glob("mlartifacts/**/*"))
    move_to(copy, monkeypatch)
    assert log("new").startswith(copy.as_uri())
    assert texts() == ["new", "the copy's"]
    assert sorted(tmp_path.glob("mlartifacts/**/*")) == before
    default = MlflowClient(f"sqlite:///{copy}/mlflow.db").get_experiment("0").artifact_location
    assert not default.startswith(f"{tmp_path}/")
    move_to(tmp_path, monkeypatch)
    assert texts() == ["both"]


def test_a_copy_without_files_writes_into_its_own_folder(store, tmp_path, monkeypatch):
    copy = tmp_path.with_name(f"{tmp_path.name}-copy")
    copy.mkdir()
    shutil.copy(tmp_path / "mlflow.db", copy)
    move_to(copy, monkeypatch)
    assert log("new").startswith(copy.as_uri())


def test_a_store_that_moves_alone_keeps_the_files_it_names_whoever_comes_first(store, tmp_path, monkeypatch, capsys):
    log("left behind")
    (tmp_path / "team").mkdir()
    shutil.move(tmp_path / "mlflow.db", tmp_path / "team")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/team/mlflow.db")
    prepare(required=True)
    assert texts() == ["left behind"]
    (tmp_path / "team/mlartifacts").mkdir(exist_ok=True)  # as a stage before it has logged anything
    log("new")
    assert texts() == ["new", "left behind"]
    assert capsys.readouterr().err == ""


def test_a_copy_of_the_file_alone_keeps_the_files_it_names(store, tmp_path, monkeypatch):
    log("the original's")
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "mlflow.db", tmp_path / "copy")
    move_to(tmp_path / "copy", monkeypatch)
    prepare(required=True)
    assert texts() == ["the original's"]
    shutil.copytree(tmp_path / "mlartifacts", tmp_path / "copy/mlartifacts", dirs_exist_ok=True)
    assert log("new").startswith((tmp_path / "copy").as_uri())
    assert texts() == ["new", "the original's"]


def test_what_was_left_behind_when_a_repository_moved_is_said(store, tmp_path, monkeypatch, capsys):
    first, second = Path(unquote(urlsplit(log("brought")).path)), Path(unquote(urlsplit(log("left")).path))
    moved = tmp_path / "moved"
    shutil.copytree(first, moved / first.relative_to(tmp_path))
    shutil.move(tmp_path / "mlflow.db", moved)
    move_to(moved, monkeypatch)
    connect()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("; 1 of 2 folders are not there: copy them, or make sync-mlflow adds what DVC has")
    shutil.copytree(second, moved / second.relative_to(tmp_path))
    assert texts() == ["left", "brought"]


def test_the_model_of_a_copy_is_read_from_the_copy(store, tmp_path, monkeypatch):
    uri = log("the original's")
    store.client.create_registered_model("mendline")
    store.client.create_model_version("mendline", uri)
    copy = tmp_path.with_name(f"{tmp_path.name}-copy")
    shutil.copytree(tmp_path, copy)
    (file,) = copy.glob("mlartifacts/**/file.txt")
    file.write_text("the copy's")
    move_to(copy, monkeypatch)
    assert (download("models:/mendline/1") / "file.txt").read_text() == "the copy's"


def test_a_store_elsewhere_has_its_files_beside_it(repository, tmp_path, monkeypatch):
    (tmp_path / "team").mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/team/runs.db")
    assert log("shared").startswith((tmp_path / "team/mlartifacts").as_uri())
    assert list(repository.iterdir()) == []


def test_files_that_were_always_kept_elsewhere_stay_there(store, tmp_path, monkeypatch):
    log("elsewhere")
    (tmp_path / "team").mkdir()
    shutil.move(tmp_path / "mlflow.db", tmp_path / "team/runs.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/team/runs.db")
    assert texts() == ["elsewhere"]


def test_who_only_reads_makes_no_store(repository):
    assert connect_existing() is None
    with pytest.raises(UserError, match="@champion: no .*mlflow.db; run this in the repository's folder"):
        download("models:/mendline@champion")
    assert list(repository.iterdir()) == []


@pytest.mark.parametrize("scheme", ["sqlite:///", "sqlite+pysqlite:///", "SQLite+pysqlite:///"])
def test_who_only_reads_makes_no_store_however_sqlite_is_named(scheme, repository, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}{repository}/new.db")
    assert connect_existing() is None
    with pytest.raises(UserError, match="@champion: no .*new.db"):
        download("models:/mendline@champion")
    assert list(repository.iterdir()) == []


@pytest.mark.parametrize("table", ["notes (text)", "experiments (name)"])
def test_the_database_of_another_program_is_left_as_it_is(table, repository):
    with closing(sqlite3.connect(repository / "mlflow.db")) as connection:
        connection.execute(f"CREATE TABLE {table}")
    before = (repository / "mlflow.db").read_bytes()
    for use in (connect, connect_existing, lambda: download("models:/mendline@champion")):
        with pytest.raises(
            UserError, match=r"db: not MLflow's, .*; move /.*/mlflow.db\* away, or set MLFLOW_TRACKING_URI"
        ) as error:
            use()
        assert "\n" not in str(error.value)
    assert (repository / "mlflow.db").read_bytes() == before


def test_bytes_that_flipped_here_and_there_end_right_or_in_one_line_that_helps(store, tmp_path, monkeypatch):
    log("a run")
    content, chance = (tmp_path / "mlflow.db").read_bytes(), random.Random(0)
    for number in range(20):
        flipped = bytearray(content)
        for position in chance.sample(range(100, len(content)), 2 * len(content) // 1000):
            flipped[position] ^= chance.randrange(1, 256)
        folder = move_to(tmp_path / str(number), monkeypatch)
        (folder / "mlflow.db").write_bytes(flipped)
        try:
            prepare(required=True)
        except UserError as error:
            assert f"move {folder}/mlflow.db* away" in str(error)
            assert "\n" not in str(error)


def test_a_file_where_the_folder_of_files_belongs_is_one_line(store, tmp_path):
    (tmp_path / "mlartifacts").write_text("in the way")
    with pytest.raises(
        UserError, match="File exists: '.*/mlartifacts'; move that file away: MLflow keeps a folder there"
    ):
        prepare(required=True)


def damaged(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:4096] + bytes(len(content) - 4096))


def no_database(file: Path) -> None:
    file.write_text("something else")


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def cut_off(file: Path) -> None:
    """As MLflow's own commands leave it when the disk is full."""
    file.unlink()
    with pytest.raises(OperationalError):
        in_process(with_file_size, 600 * 1024, MlflowClient, f"sqlite:///{file}")


def changed(statement: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        with sqlite3.connect(file) as connection:
            connection.execute(statement)
        connection.close()

    return change


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (damaged, DAMAGED),
        (no_database, DAMAGED),
        (folder, "a folder, where MLflow keeps a file; move it away"),
        (
            changed("DELETE FROM alembic_version"),
            CUT_OFF,
        ),
        (cut_off, CUT_OFF),
        (
            changed("UPDATE alembic_version SET version_num = '451aebb31d03'"),
            "made by another version of MLflow; by an older one: mlflow db upgrade sqlite:///",
        ),
        (
            changed("UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = 'mendline'"),
            f"experiment {ROWS} was deleted; restore it: MLFLOW_TRACKING_URI=sqlite:///",
        ),
    ],
    ids=["damaged", "no database", "folder", "no version", "cut off", "other version", "deleted"],
)
def test_a_store_that_cannot_be_used_is_one_line_with_the_remedy(spoil, expected, store, tmp_path, monkeypatch):
    spoilt = move_to(tmp_path / "spoilt", monkeypatch)
    shutil.copy(tmp_path / "mlflow.db", spoilt)
    spoil(spoilt / "mlflow.db")
    for use in (connect, connect_existing, lambda: prepare(required=True)):
        with pytest.raises(UserError) as error:
            use()
        assert expected.format(folder=spoilt) in str(error.value)
        assert str(spoilt / "mlflow.db") in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("locked", ["mlflow.db", "mlartifacts", "."])
def test_what_cannot_be_written_is_said_before_any_work(locked, mlflow_db, monkeypatch):
    with tempfile.TemporaryDirectory() as name:
        repository = move_to(Path(name), monkeypatch)
        shutil.copy(mlflow_db, repository)
        in_process(set_up)
        for path in (repository, *repository.iterdir()):
            path.chmod(0o555 if path.name == locked or path == repository / locked else 0o777)
        with pytest.raises(UserError, match="it cannot be written; get write permission .*tracking.required: false"):
            in_process(as_nobody, prepare, True)
        assert (in_process(as_nobody, download, "models:/mendline/1") / "file.txt").read_text() == "a model"
        repository.chmod(0o777)
