import subprocess
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.errors import UserError
from pipeline.sources.coco.cache import Cache
from pipeline.sources.coco.hosts import File
from pipeline.sources.coco.member import Member

FILE = File("zips/val2017.zip", 1000, '"v1"', ranges=True)


def stored(content: bytes) -> bytes:
    """A stored member, local header and all, of a zip."""
    return b"PK\x03\x04" + bytes(26) + content


def side_by_side(*contents: bytes) -> list[Member]:
    """Members a, b and so on with these contents, the first at byte 100 of a zip."""
    members, start = [], 100
    for name, content in zip("abcdefgh", contents, strict=False):
        end = start + len(stored(content))
        members.append(Member(name, start, end, 0, packed=len(content), size=len(content), crc=zlib.crc32(content)))
        start = end
    return members


def store(cache: Cache, members: list[Member], content: bytes, version: File = FILE) -> None:
    with cache.run(version, members) as write:
        write(content)


@given(st.lists(st.binary(min_size=1), min_size=1, max_size=5), st.data())
def test_wherever_a_run_was_cut_off_the_next_one_finds_what_came(tmp_path_factory, contents, data):
    folder, members = tmp_path_factory.mktemp("cache"), side_by_side(*contents)
    whole = b"".join(map(stored, contents))
    there = data.draw(st.integers(0, len(whole)))
    store(Cache(folder), members, whole[:there])
    cache = Cache(folder)
    for member, content in zip(members, contents, strict=True):
        before = member.start - members[0].start
        assert (member.name in cache) == (before + member.length <= there)
        if member.name in cache:
            assert cache.read(member.name) == content
        else:
            partial = stored(content)[: max(0, there - before)]
            assert cache.partial(member.name) == (FILE if partial else None, partial)
            assert cache.partial_size(member.name) == len(partial)


def test_the_last_of_a_name_counts(tmp_path):
    for content in (b"older", b"newer"):
        store(Cache(tmp_path), side_by_side(content), stored(content))
    assert Cache(tmp_path).read("a") == b"newer"
    assert Cache(tmp_path).crc("a") == zlib.crc32(b"newer")


@given(st.lists(st.binary(min_size=1), min_size=1, max_size=4))
def test_a_file_of_its_own_is_gone_on_with_where_it_was_cut_off(tmp_path_factory, pieces):
    folder, member = tmp_path_factory.mktemp("cache"), Member("a", 0, sum(map(len, pieces)))
    for number, piece in enumerate(pieces):
        assert Cache(folder).partial("a")[1] == b"".join(pieces[:number])
        store(Cache(folder), [member], piece)
    assert Cache(folder).read("a") == b"".join(pieces)
    assert len(list(folder.iterdir())) == 1


def test_the_beginning_of_another_version_is_not_gone_on_with(tmp_path):
    store(Cache(tmp_path), [Member("a", 0, 8)], b"old")
    newer = File(FILE.path, FILE.size, '"v2"', ranges=True)
    store(Cache(tmp_path), [Member("a", 0, 8)], b"newer", newer)
    assert Cache(tmp_path).partial("a") == (newer, b"newer")


def test_what_is_forgotten_stays_forgotten(tmp_path):
    cache = Cache(tmp_path)
    store(cache, side_by_side(b"abc", b"partial"), stored(b"abc") + b"PK")
    cache.forget("b")
    for again in (cache, Cache(tmp_path)):
        assert again.partial_size("b") == 0
        assert again.read("a") == b"abc"
    cache.clear()
    assert not list(tmp_path.iterdir())


def test_a_run_that_nothing_came_of_leaves_nothing(tmp_path):
    store(Cache(tmp_path), side_by_side(b"bytes"), b"")
    assert not list(tmp_path.iterdir())


def test_a_run_killed_in_its_first_line_counts_as_none(tmp_path):
    store(Cache(tmp_path), side_by_side(b"bytes"), stored(b"bytes"))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for length in range(whole.index(b"\n")):
        path.write_bytes(whole[:length])
        assert "a" not in Cache(tmp_path)
        assert not path.exists()


@pytest.mark.parametrize(
    ("member", "content"), [(side_by_side(b"content")[0], stored(b"content")), (Member("a", 0, 7), b"content")]
)
def test_damaged_content_is_named_and_can_be_removed(tmp_path, member, content):
    store(Cache(tmp_path), [member], content)
    (path,) = tmp_path.iterdir()
    assert Cache(tmp_path).read("a") == b"content"
    path.write_bytes(path.read_bytes().replace(b"content", b"cOntent"))
    cache = Cache(tmp_path)
    with pytest.raises(UserError, match=rf"{path}: a is damaged; it was removed, run again"):
        cache.read("a")
    assert cache.crc("a") != zlib.crc32(b"cOntent")
    cache.remove("a")
    assert "a" not in Cache(tmp_path)
    assert not path.exists()


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "000001.sync-conflict.run").write_text("not ours")
    assert "a" not in Cache(tmp_path)
    assert list(tmp_path.iterdir())


def test_a_full_disk_is_one_line_and_costs_nothing_that_came(tmp_path):
    store(Cache(tmp_path), side_by_side(b"whole"), stored(b"whole"))
    script = f"""
import resource
from pathlib import Path
from pipeline.sources.coco.member import Member
from pipeline.sources.coco.cache import Cache
from pipeline.sources.coco.hosts import File
from pipeline.runtime.errors import one_line_errors
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
with one_line_errors(), Cache(Path({str(tmp_path)!r})).run(File("a.jpg", 0, "v1", True), [Member("b", 0, 20_000)]) as w:
    w(b"b" * 9_000)
    w(b"b" * 9_000)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}: File too large; make room and run again, what is there stays\n"
    cache = Cache(tmp_path)
    assert cache.read("a") == b"whole"
    assert 9_000 < cache.partial_size("b") < 10_000
    assert set(cache.partial("b")[1]) == set(b"b")
