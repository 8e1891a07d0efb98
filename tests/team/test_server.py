import os

import pytest
from dotenv import dotenv_values

from pipeline.runtime.errors import UserError
from pipeline.team import server

URL = "http://team.example.org:5000"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name in [name for name in os.environ if name.startswith("TEAM_")]:
        monkeypatch.delenv(name)
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]


def describe(folder, url=URL):
    server.describe(url, "http://team.example.org:8333", 5000, 8333, folder)


def test_secrets_are_made_once_and_nobody_else_may_read_them(tmp_path):
    describe(tmp_path / "data")
    first = dotenv_values(".env")
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert len({first[name] for name in server.SECRETS}) == 3
    assert min(len(first[name]) for name in server.SECRETS) >= 32
    describe(tmp_path / "moved")
    second = dotenv_values(".env")
    assert {name: second[name] for name in server.SECRETS} == {name: first[name] for name in server.SECRETS}
    assert server.described().folder == tmp_path / "moved"


def test_in_docker_it_has_no_folder():
    describe(None)
    assert server.described().folder is None


@pytest.mark.parametrize(
    ("url", "listen"),
    [
        (URL, "0.0.0.0"),
        ("http://127.0.0.1:5000", "127.0.0.1"),
        ("http://localhost:5000", "127.0.0.1"),
        ("https://team.example.org", "127.0.0.1"),
    ],
)
def test_it_listens_for_others_where_no_proxy_does(url, listen, tmp_path):
    describe(tmp_path, url)
    assert server.described().listen == listen


@pytest.mark.parametrize("url", ["", "team.example.org", "ftp://x", "http://", "http://x:99999", "http://[", "x y"])
def test_what_is_no_url_is_refused_and_nothing_is_written(url, tmp_path):
    with pytest.raises(UserError, match="not the URL of a server; expected http://HOST:PORT or https://HOST"):
        describe(tmp_path, url)
    assert not (tmp_path / ".env").exists()


def test_where_no_server_was_set_up_the_line_says_so():
    with pytest.raises(UserError, match="describes no server of a team .*; run this where make server"):
        server.described()
