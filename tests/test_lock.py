"""What `make` installs: every package by its hash, and beside it what DVC needs for remotes of other kinds."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.clone import PATIENCE, ROOT

LOCKS = [(ROOT / name).read_text() for name in ("requirements.lock", "requirements-dev.lock")]
PINNED = re.compile(r"^(\S.*?)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)
LOCKED, DEVELOPERS = [[Requirement(text) for text, _ in PINNED.findall(lock)] for lock in LOCKS]


@pytest.mark.parametrize("lock", LOCKS, ids=["requirements", "requirements-dev"])
def test_every_line_pins_a_package_by_version_and_hash(lock):
    pinned = PINNED.findall(lock)
    assert len(pinned) == sum(not line.startswith(" ") for line in lock.splitlines())
    for text, _ in pinned:
        (specifier,) = Requirement(text).specifier
        assert specifier.operator == "=="


@pytest.mark.parametrize("lock", LOCKS, ids=["requirements", "requirements-dev"])
def test_it_names_packages_and_no_place_where_they_lie(lock):
    assert not re.search(r"://|^-|/", lock, re.MULTILINE)


def test_what_dvc_needs_for_s3_can_join_it():
    (dateutil,) = [package for package in LOCKED if package.name == "python-dateutil"]
    (version,) = dateutil.specifier
    assert Version(version.version) < Version("3")  # botocore's bound


def test_uv_takes_the_lock_here_by_its_hashes(tmp_path):
    """It refuses all of them where the project's configuration has a constraint that pins no version."""
    empty = str(tmp_path / "empty")
    subprocess.run(["uv", "venv", "--python", sys.executable, empty], check=True, capture_output=True, timeout=PATIENCE)
    command = ["uv", "pip", "install", "--python", empty, "--dry-run", "--offline", "--require-hashes", "--no-deps"]
    done = subprocess.run(
        [*command, "--requirement", "requirements.lock"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert "must have their versions pinned" not in " ".join(done.stderr.split())


def test_the_tools_of_developers_join_what_users_install_and_replace_none_of_it():
    users, developers = ({package.name for package in lock} for lock in (LOCKED, DEVELOPERS))
    assert not users & developers
    assert {"dvc", "gradio", "mlflow", "setuptools", "shtab", "torch"} <= users
    assert {"mkdocs-material", "mypy", "pre-commit", "pytest", "ruff"} <= developers


@pytest.fixture
def fresh(tmp_path):
    """A checkout without an environment, as far as `make` needs one to install."""
    for name in ("Makefile", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def commands(folder: Path, *variables: str) -> list[str]:
    """What `make` would run to install all there is, developers' tools included."""
    command = ["make", "--dry-run", "--always-make", *variables, ".venv/dev"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    return (done.stdout + done.stderr).splitlines()


@pytest.mark.parametrize(
    ("uv", "installer"), [("", ".venv/bin/pip install"), ("/usr/bin/uv", "uv pip install --python .venv")]
)
def test_make_holds_what_it_installs_to_the_hashes(uv, installer, fresh):
    lines = commands(fresh, f"UV={uv}")
    said, *done = [line for line in lines if "pip install" in line or line.startswith('echo "')]
    assert "6.7 GB" in said
    assert done == [
        f"{installer} --require-hashes --no-deps --requirement requirements.lock",
        ".venv/bin/pip install --no-deps --no-build-isolation --editable .",
        f"{installer} --require-hashes --no-deps --requirement requirements-dev.lock",
    ]


def test_make_takes_pytorch_for_the_cpu_and_all_else_by_its_hash(fresh):
    lines = commands(fresh, "TORCH=cpu", "UV=/usr/bin/uv")
    (select,) = [line for line in lines if line.startswith("awk")]
    others = subprocess.run(
        ["sh", "-c", select.split(">")[0]], cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    kept = {Requirement(text).name for text, _ in PINNED.findall(others.stdout)}
    left_out = {package.name for package in LOCKED} - kept
    assert {"torch", "triton", "nvidia-nccl-cu13"} <= left_out
    assert {name.split("-")[0] for name in left_out} == {"torch", "triton", "nvidia", "cuda"}
    assert "uv pip install --python .venv --require-hashes --no-deps --requirement .venv/requirements.lock" in lines


def test_make_says_that_pytorch_for_the_cpu_needs_uv(fresh):
    assert "TORCH=cpu needs uv" in commands(fresh, "TORCH=cpu", "UV=")[-1]


@pytest.mark.parametrize("torch", ["cpu", ""])
def test_make_goes_by_the_pytorch_that_was_chosen_first(torch, fresh):
    first = commands(fresh, f"TORCH={torch}", "UV=/usr/bin/uv")
    (keep,) = [line for line in first if line.endswith("> .venv/torch")]
    (fresh / ".venv").mkdir()
    subprocess.run(["sh", "-c", keep], cwd=fresh, check=True, timeout=PATIENCE)
    assert commands(fresh, "UV=/usr/bin/uv") == first


@pytest.mark.parametrize(("chosen", "wanted", "made"), [("cpu", "", "with"), ("", "cpu", "without")])
def test_make_installs_neither_pytorch_over_the_other(chosen, wanted, made, fresh):
    (fresh / ".venv").mkdir()
    (fresh / ".venv/torch").write_text(f"{chosen}\n")
    (said,) = commands(fresh, f"TORCH={wanted}", "UV=/usr/bin/uv")
    assert said.endswith(f".venv was made {made} TORCH=cpu; to change that, rm -r .venv first.  Stop.")


def test_make_refuses_a_pytorch_that_it_does_not_know(fresh):
    (said,) = commands(fresh, "TORCH=CPU")
    assert said.endswith("TORCH is CPU; expected cpu.  Stop.")
