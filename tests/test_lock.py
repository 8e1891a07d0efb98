"""What `make` installs: every package by its hash, and beside it what DVC needs for remotes of other kinds."""

import re

from packaging.requirements import Requirement
from packaging.version import Version

from tests.clone import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
PINNED = re.findall(r"^(\S.*?)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", LOCK, re.MULTILINE)


def test_every_line_pins_a_package_by_version_and_hash():
    assert len(PINNED) == sum(not line.startswith(" ") for line in LOCK.splitlines())
    for text, _ in PINNED:
        (specifier,) = Requirement(text).specifier
        assert specifier.operator == "=="


def test_it_names_packages_and_no_place_where_they_lie():
    assert not re.search(r"://|^-|/", LOCK, re.MULTILINE)


def test_what_dvc_needs_for_s3_can_join_it():
    (dateutil,) = [Requirement(text) for text, _ in PINNED if text.startswith("python-dateutil==")]
    (version,) = dateutil.specifier
    assert Version(version.version) < Version("3")  # botocore's bound


def test_make_holds_what_it_installs_to_the_hashes():
    assert re.search(r"pip install .*--require-hashes --requirement requirements.lock", (ROOT / "Makefile").read_text())
