"""Which data and which code a stage ran on: from `dvc.lock`, the environment DVC gives, and git."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def root() -> Path:
    """The main checkout, also when DVC runs an experiment in a temporary one."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def fingerprint(stage: str, facts: dict[str, Any]) -> str:
    """A name for all that decides what `stage` makes: the bytes of its deps, code and data alike, and `facts`.

    Returns:
        The first 16 hex digits of a SHA-256.
    """
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for dep in YAML(typ="safe", pure=True).load(Path("dvc.yaml"))["stages"][stage]["deps"]:
        for path in _files(Path(dep)):
            with path.open("rb") as file:
                digest.update(f"{path.as_posix()} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _files(dep: Path) -> Iterator[Path]:
    if dep.is_file():
        yield dep
    else:
        yield from sorted(path for path in dep.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def data_digests(stage: str) -> dict[str, str]:
    """The outs of earlier stages that `stage` reads, with their DVC digests (`<md5>` or `<md5>.dir`).

    While a stage runs, `dvc.lock` already holds the current digests of the stages before it. Empty without a lock.
    """
    lock, definition = Path("dvc.lock"), Path("dvc.yaml")
    if not (lock.exists() and definition.exists()):
        return {}
    yaml = YAML(typ="safe", pure=True)
    stages = yaml.load(lock).get("stages", {})
    digests = {out["path"]: out["md5"] for entry in stages.values() for out in entry.get("outs", [])}
    return {dep: digests[dep] for dep in yaml.load(definition)["stages"][stage]["deps"] if dep in digests}


def code_state() -> dict[str, str]:
    """The git commit, whether tracked files differ from it, and DVC's name of the experiment, where they exist."""
    state = {}
    commit = _git("rev-parse", "HEAD")
    if commit:
        state["git.commit"] = commit
        state["git.dirty"] = str(bool(_git("status", "--porcelain", "--untracked-files=no"))).lower()
    if os.environ.get("DVC_EXP_NAME"):
        state["dvc.experiment"] = os.environ["DVC_EXP_NAME"]
    return state


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
