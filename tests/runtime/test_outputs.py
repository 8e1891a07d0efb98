import errno
import subprocess
import sys

import pytest

from pipeline.runtime import outputs
from pipeline.runtime.errors import UserError, one_line_errors
from pipeline.runtime.outputs import complete_outs
from tests.clone import PATIENCE, ROOT

WRITER = """
import sys
from pipeline.runtime.outputs import complete_outs
with complete_outs("data/pairs") as (out,):
    out.mkdir()
    (out / "first").write_text("half")
    print("begun", flush=True)
    sys.stdin.readline()
    (out / "second").write_text("whole")
"""


@pytest.fixture(autouse=True)
def in_scratch_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_outs_appear_together_at_the_end(tmp_path):
    with complete_outs("data/pairs", "metrics/pairs.csv") as (folder, table):
        folder.mkdir()
        (folder / "shard").write_text("new")
        table.write_text("new")
        assert not (tmp_path / "data/pairs").exists()
    assert (tmp_path / "data/pairs/shard").read_text() == "new"
    assert (tmp_path / "metrics/pairs.csv").read_text() == "new"
    assert list((tmp_path / ".cache/partial").iterdir()) == []


def test_an_error_leaves_the_old_outs_and_nothing_half_written(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/pairs").write_text("old")
    with pytest.raises(UserError), complete_outs("data/pairs") as (out,):
        out.write_text("half")
        raise UserError("the disk caught fire")
    assert (tmp_path / "data/pairs").read_text() == "old"
    assert list((tmp_path / ".cache/partial").iterdir()) == []


def test_a_folder_is_replaced_whole(tmp_path):
    for content in ("old", "new"):
        with complete_outs("data/model") as (out,):
            out.mkdir()
            (out / content).write_text(content)
    assert [path.name for path in (tmp_path / "data/model").iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("photos: empty"), "error: photos: empty"),
        (
            OSError(errno.ENOSPC, "No space left on device", "data/coco"),
            "error: data/coco: No space left on device; make room and run again",
        ),
        (OSError("cannot write"), "error: cannot write"),
    ],
)
def test_an_error_is_one_line_and_a_failure(error, line):
    with pytest.raises(SystemExit) as stop, one_line_errors():
        raise error
    assert stop.value.code == line


@pytest.fixture
def writer():
    """Another process, which has begun to write `data/pairs` and ends it when it is sent a line."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER],
        env={"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


def test_while_another_process_writes_an_out_a_second_is_refused_and_nothing_is_lost(writer, tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "WAIT", 0.1)
    with pytest.raises(UserError, match="^data/pairs: another process writes it; wait for it, or end it$"):
        complete_outs("data/pairs").__enter__()
    writer.communicate("\n")
    assert sorted(path.name for path in (tmp_path / "data/pairs").iterdir()) == ["first", "second"]


def test_a_process_that_waits_goes_on_once_the_other_has_ended(writer, tmp_path):
    writer.stdin.write("\n")
    writer.stdin.flush()
    with complete_outs("data/pairs") as (out,):
        assert sorted(path.name for path in (tmp_path / "data/pairs").iterdir()) == ["first", "second"]
        out.write_text("mine")
    assert (tmp_path / "data/pairs").read_text() == "mine"


def test_a_process_that_was_killed_keeps_nobody_waiting(writer, tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "WAIT", 0.1)
    writer.kill()
    writer.wait(PATIENCE)
    with complete_outs("data/pairs") as (out,):
        assert not out.exists()
        out.write_text("mine")
    assert (tmp_path / "data/pairs").read_text() == "mine"
