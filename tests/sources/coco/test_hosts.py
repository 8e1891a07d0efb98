import contextlib
import os
import socket
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.runtime.errors import UserError
from pipeline.sources.coco import hosts
from pipeline.sources.coco.hosts import Changed, Http, LocalHost, stream
from pipeline.sources.coco.retry import REPEATS, Unavailable

CONTENT = os.urandom(5000)
shared_host = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Retries come at once, unless the host names a time."""
    monkeypatch.setattr(hosts, "RETRY", hosts.RETRY.new(backoff_factor=0, backoff_jitter=0))


@pytest.fixture
def file(host):
    host.files["/file"] = CONTENT
    return host


def content(host: hosts.Host, *args) -> bytes:
    return b"".join(piece for _, piece in stream(host, "file", *args))


@st.composite
def bounds(draw) -> tuple[int, int]:
    start = draw(st.integers(0, len(CONTENT) - 1))
    return start, draw(st.integers(start + 1, len(CONTENT)))


@shared_host
@given(bounds(), st.integers(200, len(CONTENT)))
def test_every_byte_comes_once_wherever_connections_break_off(file, bounds, cut):
    file.cut, before = cut, file.sent
    host = Http(file.url)
    assert content(host, host.stat("file"), *bounds) == CONTENT[slice(*bounds)]
    assert file.sent - before == bounds[1] - bounds[0]


@shared_host
@pytest.mark.parametrize("kind", ["http without ranges", "share"])
@given(bounds())
def test_no_byte_beyond_the_end_comes_however_the_host_answers(file, tmp_path, kind, bounds):
    (tmp_path / "file").write_bytes(CONTENT)
    file.ranges = False
    host = LocalHost(tmp_path) if kind == "share" else Http(file.url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosts, "PIECE", 100)
        assert content(host, host.stat("file"), *bounds) == CONTENT[slice(*bounds)]


def test_requests_in_a_row_share_a_connection(file):
    host = Http(file.url)
    version = host.stat("file")
    for start in range(0, 5000, 1000):
        assert content(host, version, start, start + 1000) == CONTENT[start : start + 1000]
    assert file.connections == 1


def test_a_whole_file_comes_without_asking_for_its_size(file):
    assert content(Http(file.url), None) == CONTENT
    assert len(file.asked) == 1


def test_a_host_that_brings_nothing_is_given_up_after_the_number_it_says(file):
    file.cut = 0
    with pytest.raises(Unavailable, match=rf"{file.url}/file: cut short {REPEATS + 1} times at byte 0"):
        content(Http(file.url), None)
    assert len(file.asked) == REPEATS + 1


def test_a_host_that_is_always_busy_is_given_up(file):
    file.busy = 1
    with pytest.raises(Unavailable, match=f"{file.url}/file: no answer .*503"):
        content(Http(file.url), None)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_host_whose_headers_trickle_is_given_up(answer):
    over = threading.Event()

    def trickle(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(answer)
            while not over.wait(0.05):
                connection.sendall(b"a" if answer.endswith(b": ") else answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=trickle, args=(listening,), daemon=True).start()
        began = time.monotonic()
        try:
            with pytest.raises(Unavailable, match="came for 1 s"):
                Http(f"http://127.0.0.1:{listening.getsockname()[1]}", 1.0).stat("file")
        finally:
            over.set()
        assert time.monotonic() - began < 5


def test_a_file_that_changes_between_two_ranges_is_noticed(file):
    host = Http(file.url)
    version = host.stat("file")
    file.cut = 1000
    pieces = stream(host, "file", version)
    assert next(pieces)[1]
    file.files["/file"] = CONTENT[::-1]
    with pytest.raises(Changed, match=f"{file.url}/file: changed on the host"):
        list(pieces)


def test_a_file_that_shrank_is_noticed(file):
    host = Http(file.url)
    version = host.stat("file")
    file.files["/file"] = CONTENT[:100]
    with pytest.raises(Changed):
        content(host, version, 200, 300)


def test_a_busy_host_is_asked_again_when_it_says(file):
    file.busy, file.retry_after = 2, "1"
    host = Http(file.url)
    host.stat("file")
    began = time.monotonic()
    assert content(host, None) == CONTENT
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(
    "odd",
    [
        *(
            "soon",
            "",
            "-1",
            "1.5",
            "1 s",
            "\u00b2",
            "9" * 5000,
            "Mon, 01 Jan 99999 00:00:00 GMT",
            "1 Jan 9999999999999 00:00:00 GMT",
        ),
        *("Mon, 99 Jan 2024 99:00:00 GMT", "Mon, 01 Jan 2024", "Mon, 01 Jan 2024 00:00:00 +9999999999999999999999"),
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_a_busy_host_that_says_no_time_is_asked_again_all_the_same(file, odd):
    file.busy, file.retry_after = 2, odd
    host = Http(file.url)
    host.stat("file")
    assert content(host, None) == CONTENT
    assert len(file.asked) == 3


@pytest.mark.parametrize("path", ["missing", "missing folder/and file.jpg"])
def test_what_is_not_there_is_none_and_asked_for_once(file, path):
    assert Http(file.url).stat(path) is None
    assert len(file.asked) == 1


def test_a_proxy_is_taken_from_the_environment(file, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", file.url)
    assert content(Http("http://coco.invalid"), None) == CONTENT
    assert file.asked == [("GET", "http://coco.invalid/file", "")]


def test_a_share_is_read_like_a_host(tmp_path):
    folder = tmp_path / "with a space"
    folder.mkdir()
    (folder / "file").write_bytes(CONTENT)
    local = hosts.open_host(folder.as_uri())
    assert local.stat("missing") is None
    version = local.stat("file")
    assert content(local, version, 10, 20) == CONTENT[10:20]
    (folder / "file").write_bytes(CONTENT + b"more")
    with pytest.raises(Changed):
        content(local, version)
    with pytest.raises(Unavailable, match="no such file"), local.get("missing", None, 0, None):
        pass


@pytest.mark.parametrize("url", ["images.cocodataset.org", "ftp://127.0.0.1", "", "/mnt/coco"])
def test_what_is_no_url_is_refused_by_name(url):
    with pytest.raises(UserError, match=f"download.coco.base_url: '{url}' is no URL"):
        hosts.open_host(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://", "http://127.0.0.1:99999", "http://[", "http://a..b"])
def test_no_host_is_one_line_that_names_the_url(url):
    with pytest.raises(UserError, match=r"base_url") as refusal:
        hosts.open_host(url).stat("file")
    assert "\n" not in str(refusal.value)
