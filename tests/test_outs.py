import errno

import pytest

from pipeline.errors import UserError, one_line_errors
from pipeline.outs import complete


@pytest.fixture(autouse=True)
def in_scratch_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_outs_appear_together_at_the_end(tmp_path):
    with complete("data/pairs", "metrics/pairs.csv") as (folder, table):
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
    with pytest.raises(UserError), complete("data/pairs") as (out,):
        out.write_text("half")
        raise UserError("the disk caught fire")
    assert (tmp_path / "data/pairs").read_text() == "old"
    assert list((tmp_path / ".cache/partial").iterdir()) == []


def test_a_folder_is_replaced_whole(tmp_path):
    for content in ("old", "new"):
        with complete("data/model") as (out,):
            out.mkdir()
            (out / content).write_text(content)
    assert [path.name for path in (tmp_path / "data/model").iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("photos: empty"), "error: photos: empty"),
        (OSError(errno.ENOSPC, "No space left on device", "data/coco"), "error: No space left on device: data/coco"),
        (OSError("cannot write"), "error: cannot write"),
    ],
)
def test_an_error_is_one_line_and_a_failure(error, line):
    with pytest.raises(SystemExit) as stop, one_line_errors():
        raise error
    assert stop.value.code == line
