import subprocess
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.coco.member import Member
from pipeline.coco.pool import Pool
from pipeline.coco.transfer import File
from pipeline.errors import UserError

FILE = File("val2017.zip", 1000, '"v1"', ranges=True)


def side_by_side(*lengths: int) -> list[Member]:
    """Members a, b and so on of these lengths, which begin at byte 100."""
    starts = [100 + sum(lengths[:number]) for number in range(len(lengths))]
    return [
        Member(name, start, start + length) for name, start, length in zip("abcdefgh", starts, lengths, strict=False)
    ]


def keep(pool: Pool, members: list[Member], content: bytes, version: File = FILE) -> None:
    with pool.run(version, members) as write:
        write(content)


@given(st.lists(st.binary(min_size=1), min_size=1, max_size=5), st.data())
def test_wherever_a_run_was_cut_off_the_next_one_finds_what_came(tmp_path_factory, contents, data):
    folder, members = tmp_path_factory.mktemp("pool"), side_by_side(*map(len, contents))
    whole = b"".join(contents)
    there = data.draw(st.integers(0, len(whole)))
    keep(Pool(folder), members, whole[:there])
    pool = Pool(folder)
    for member, content in zip(members, contents, strict=True):
        before = member.start - members[0].start
        assert (member.name in pool) == (before + len(content) <= there)
        if member.name in pool:
            assert pool.read(member.name) == content
        else:
            begun = content[: max(0, there - before)]
            assert pool.beginning(member.name) == (FILE if begun else None, begun)
            assert pool.begun(member.name) == len(begun)


def test_the_last_of_a_name_counts(tmp_path):
    for content in (b"older", b"newer"):
        keep(Pool(tmp_path), side_by_side(5), content)
    assert Pool(tmp_path).read("a") == b"newer"
    assert Pool(tmp_path).crc("a") == zlib.crc32(b"newer")


def test_a_beginning_that_is_gone_on_with_in_another_run_leaves_its_own(tmp_path):
    keep(Pool(tmp_path), side_by_side(3, 100), b"abcbegun")
    keep(Pool(tmp_path), [Member("b", 103, 203)], b"begun and more")
    assert Pool(tmp_path).beginning("b") == (FILE, b"begun and more")
    assert Pool(tmp_path).read("a") == b"abc"
    assert sum(b"begun" in path.read_bytes() for path in tmp_path.iterdir()) == 1


def test_what_is_forgotten_stays_forgotten(tmp_path):
    pool = Pool(tmp_path)
    keep(pool, side_by_side(3, 100), b"abcbegun")
    pool.forget("b")
    for again in (pool, Pool(tmp_path)):
        assert again.begun("b") == 0
        assert again.read("a") == b"abc"
    pool.clear()
    assert not list(tmp_path.iterdir())


def test_a_run_that_nothing_came_of_leaves_nothing(tmp_path):
    keep(Pool(tmp_path), side_by_side(5), b"")
    assert not list(tmp_path.iterdir())


def test_a_run_killed_in_its_first_line_counts_as_none(tmp_path):
    keep(Pool(tmp_path), side_by_side(5), b"bytes")
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for length in range(whole.index(b"\n")):
        path.write_bytes(whole[:length])
        assert "a" not in Pool(tmp_path)
        assert not path.exists()


def test_damaged_content_is_named_and_removed(tmp_path):
    content = b"PK\x03\x04" + bytes(26) + b"content"
    keep(Pool(tmp_path), [Member("a", 0, len(content), 0, 7, 7, zlib.crc32(b"content"))], content)
    (path,) = tmp_path.iterdir()
    assert Pool(tmp_path).read("a") == b"content"
    path.write_bytes(path.read_bytes().replace(b"content", b"cOntent"))
    with pytest.raises(UserError, match=rf"{path}: a is damaged, the file was removed; run again"):
        Pool(tmp_path).read("a")
    assert "a" not in Pool(tmp_path)
    assert not path.exists()


def test_a_full_disk_is_one_line_and_costs_nothing_that_came(tmp_path):
    keep(Pool(tmp_path), side_by_side(5), b"whole")
    script = f"""
import resource
from pathlib import Path
from pipeline.coco.member import Member
from pipeline.coco.pool import Pool
from pipeline.coco.transfer import File
from pipeline.errors import one_line_errors
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
with one_line_errors(), Pool(Path({str(tmp_path)!r})).run(File("a.jpg", 0, "v1", True), [Member("b", 0, 20_000)]) as w:
    w(b"b" * 9_000)
    w(b"b" * 9_000)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}: File too large; make room and run again, what is there stays\n"
    pool = Pool(tmp_path)
    assert pool.read("a") == b"whole"
    assert 9_000 < pool.begun("b") < 10_000
    assert set(pool.beginning("b")[1]) == set(b"b")
