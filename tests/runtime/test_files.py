import pytest

from pipeline.runtime.files import atomic_write


def test_a_file_is_replaced_once_the_new_one_is_whole(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with atomic_write(path) as partial:
        assert partial.suffix == ".csv"  # writers look at it
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_half_written(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="caught fire"), atomic_write(path) as partial:
        partial.write_text("half")
        raise RuntimeError("the disk caught fire")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
