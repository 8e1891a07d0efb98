import pytest

from pipeline.coco import transfer
from pipeline.errors import UserError

CONTENT = bytes(range(256)) * 40


def check(path, url):
    if path.read_bytes() != CONTENT:
        raise UserError(f"{url}: damaged")


@pytest.fixture
def fetch(host, tmp_path):
    host.files["/file"] = CONTENT

    def fetch(path="/file", base=host.url) -> bytes:
        with transfer.session() as session:
            transfer.fetch(session, base + path, tmp_path / "file", check)
        return (tmp_path / "file").read_bytes()

    return fetch


@pytest.mark.parametrize("fault", [503, 429, 500, "cut", "damaged"])
def test_a_fault_that_passes_costs_one_more_request(host, fetch, fault):
    host.faults["/file"] = [fault]
    assert fetch() == CONTENT
    assert len(host.asked) == 2


def test_a_file_that_is_always_cut_short_is_an_error(host, fetch):
    host.faults["/file"] = ["cut"] * 100
    with pytest.raises(UserError, match=f"{host.url}/file: cut short 5 times"):
        fetch()


def test_a_file_that_is_always_damaged_is_an_error(host, fetch):
    host.faults["/file"] = ["damaged"] * 100
    with pytest.raises(UserError, match=f"{host.url}/file: damaged"):
        fetch()


def test_a_missing_file_is_an_error_at_once(host, fetch):
    with pytest.raises(UserError, match=f"{host.url}/missing: HTTP 404"):
        fetch("/missing")
    assert len(host.asked) == 1


@pytest.mark.parametrize("base", ["http://127.0.0.1:1", "images.cocodataset.org", "ftp://127.0.0.1", "http://"])
def test_no_host_is_one_line_that_names_the_url(fetch, base):
    with pytest.raises(UserError, match=f"{base}/file: no answer") as refusal:
        fetch(base=base)
    assert "\n" not in str(refusal.value)


def test_a_disk_error_stays_a_disk_error(host, tmp_path):
    host.files["/file"] = CONTENT
    with transfer.session() as session, pytest.raises(IsADirectoryError):
        transfer.fetch(session, f"{host.url}/file", tmp_path, check)
