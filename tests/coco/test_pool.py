import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.coco.pool import Pool
from pipeline.coco.transfer import File
from pipeline.errors import UserError

FILE = File("val2017/a.jpg", 1000, '"v1"', ranges=True)
shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@shared_folder
@given(st.dictionaries(st.sampled_from(["a.jpg", "a.jpg.part", "b.0123abcd", "c d"]), st.binary()))
def test_what_is_kept_is_read_back_by_the_next_run(tmp_path, files):
    pool = Pool(tmp_path)
    pool.clear()
    for name, content in files.items():
        pool.put(name, b"older")
        pool.put(name, content)
    again = Pool(tmp_path)
    assert {name: again.read(name) for name in files} == files
    assert len(list(tmp_path.iterdir())) == len(files)


def test_damaged_content_is_named_and_removed(tmp_path):
    Pool(tmp_path).put("a.jpg", b"content")
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"cOntent")
    pool = Pool(tmp_path)
    with pytest.raises(UserError, match=rf"{path}: damaged, and removed; run again"):
        pool.read("a.jpg")
    assert pool.crc("a.jpg") is None
    assert not list(tmp_path.iterdir())


@given(st.lists(st.binary(), max_size=5))
def test_a_beginning_survives_whatever_bytes_it_has(tmp_path_factory, pieces):
    folder = tmp_path_factory.mktemp("pool")
    for piece in pieces:
        part = Pool(folder).part("a.jpg")
        part.held += piece
        part.save(FILE)
    part = Pool(folder).part("a.jpg")
    assert part.held == b"".join(pieces)
    assert part.file == (FILE if pieces else None)
    part.drop()
    assert not list(folder.iterdir())


def test_the_beginning_of_another_version_is_replaced(tmp_path):
    part = Pool(tmp_path).part("a.jpg")
    part.held += b"old"
    part.save(FILE)
    newer = File(FILE.path, FILE.size, '"v2"', ranges=True)
    part.held[:] = b"newer"
    part.save(newer)
    again = Pool(tmp_path).part("a.jpg")
    assert (again.file, again.held) == (newer, b"newer")


def test_a_beginning_killed_in_its_first_line_counts_as_none_and_leaves_nothing(tmp_path):
    part = Pool(tmp_path).part("a.jpg")
    part.held += b"bytes"
    part.save(FILE)
    whole = part.path.read_bytes()
    for length in range(whole.index(b"\n")):
        part.path.write_bytes(whole[:length])
        killed = Pool(tmp_path).part("a.jpg")
        assert (killed.file, killed.held) == (None, b"")
        killed.held += b"again"
        killed.save(FILE)
        assert Pool(tmp_path).part("a.jpg").held == b"again"


@pytest.mark.parametrize("write", ["pool.put('a.jpg', content)", "part.held += content; part.save(file)"])
def test_a_full_disk_is_one_line_and_costs_what_is_kept_nothing(tmp_path, write):
    Pool(tmp_path).put("kept.jpg", b"kept")
    script = f"""
import resource
from pathlib import Path
from pipeline.coco.pool import Pool
from pipeline.coco.transfer import File
from pipeline.errors import one_line_errors
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
content, file, pool = bytes(20_000), File("a.jpg", 20_000, "v1", True), Pool(Path({str(tmp_path)!r}))
part = pool.part("a.jpg")
with one_line_errors():
    {write}
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}: File too large; make room and run again, what is there is kept\n"
    pool = Pool(tmp_path)
    assert pool.read("kept.jpg") == b"kept"
    assert pool.crc("a.jpg") is None
    assert not pool.part("a.jpg").held.strip(b"\0")
