"""Which parameters, data and code made a result: from `dvc.lock`, the environment DVC gives, and git.

The stages of a lock are a dictionary by name; of each it has the `cmd`, `deps`, `params` and `outs`.
"""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.runtime import yaml_file
from pipeline.runtime.errors import UserError

STAGES = ("download", "corrupt", "train", "evaluate")
LOCK = Path("dvc.lock")
Stages = dict[str, dict[str, Any]]


class Recorded(BaseModel):
    """Refuses values of another type: YAML has bytes, dates and sets, too."""

    model_config = ConfigDict(strict=True)


class Hashed(Recorded):
    """A dependency or an out, in a lock."""

    path: str
    md5: str


class Entry(Recorded):
    """What is read of a stage, in a lock."""

    params: dict[Literal["params.yaml"], dict[str, JsonValue]]
    cmd: str = ""
    deps: list[Hashed] = []
    outs: list[Hashed] = []


def root() -> Path:
    """The main checkout, also when DVC runs an experiment in a temporary one."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def fingerprint(stage: str, facts: dict[str, Any], but: str | None = None) -> str:
    """A name for all that decides what `stage` makes: the bytes of its deps, code and data alike, and `facts`.

    Files with the suffix `but` are left out.

    Returns:
        The first 16 hex digits of a SHA-256.
    """
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    parameters = flatten(YAML(typ="safe", pure=True).load(Path("params.yaml")), ".")
    for dep in _deps(stage):
        for path in _files(Path(re.sub(r"\$\{(.+?)\}", lambda named: str(parameters[named[1]]), dep))):
            if path.suffix == but:
                continue
            with path.open("rb") as file:
                digest.update(f"{path.as_posix()} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _deps(stage: str) -> list[str]:
    path = Path("dvc.yaml")
    try:
        return YAML(typ="safe", pure=True).load(path)["stages"][stage]["deps"]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run in the top folder of the repository") from None
    except (YAMLError, LookupError, TypeError):
        raise UserError(f"{path}: has no deps of {stage}; git checkout {path}") from None


def _files(dep: Path) -> Iterator[Path]:
    if dep.is_file():
        yield dep
    else:
        yield from sorted(path for path in dep.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def parse_lock(lock: str) -> Stages:
    """Our stages in the text of a `dvc.lock`.

    Raises:
        ValueError: it is not a lock.
    """
    try:
        content = yaml_file.parse(lock.encode(), LOCK) or {}
    except UserError as error:
        raise ValueError(str(error)) from None
    stages = TypeAdapter(dict[str, Any]).validate_python(content).get("stages") or {}
    stages = TypeAdapter(dict[str, Any]).validate_python(stages)
    TypeAdapter(dict[str, Entry]).validate_python(ours := {name: stages[name] for name in STAGES if name in stages})
    return ours


def workspace_lock() -> Stages:
    """The stages in the workspace's `dvc.lock`; none where there is no such file.

    Raises:
        UserError: it is damaged.
    """
    try:
        return parse_lock(LOCK.read_text()) if LOCK.exists() else {}
    except ValueError:
        remedy = "remove it and run dvc repro, which takes what it can from its cache"
        raise UserError(f"{LOCK}: damaged; {remedy}") from None


def committed(rev: str) -> Stages:
    """The stages in the `dvc.lock` of a commit; none where it has no such file.

    Raises:
        UserError: it is damaged.
    """
    try:
        return parse_lock(_git("show", f"{rev}:{LOCK}"))
    except ValueError:
        remedy = "amend the commit with the lock that dvc repro writes"
        raise UserError(f"{LOCK} of {rev}: damaged; {remedy}") from None


def stages_with_running(stage: str) -> Stages:
    """The stages up to `stage`, which runs, its own entry as DVC is going to write it.

    Its outs are there as far as they have been made. Without DVC it is the parameters alone.
    """
    return upstream_stages(stage) | {stage: _entry(stage)}


def upstream_stages(stage: str) -> Stages:
    """The stages before `stage`, which runs: their entries in `dvc.lock` are already the current ones."""
    stages = workspace_lock()
    return {name: stages.get(name) or _parameters(name) for name in STAGES[: STAGES.index(stage)]}


def _entry(stage: str) -> dict[str, Any]:
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            (found,) = repo.stage.collect(stage)
            return _parameters(stage) | {
                "cmd": found.cmd,
                "deps": [_hashed(dep) for dep in found.deps if dep not in found.params and dep.exists],
                "outs": [_hashed(out) for out in found.outs if out.exists],
            }
    except NotDvcRepoError:
        return _parameters(stage)
    except DvcException as error:
        raise UserError(f"DVC: {str(error).splitlines()[0]}; dvc status says the same until it is mended") from None


def _hashed(item: Any) -> dict[str, str]:
    return {"path": str(item), "md5": item.get_hash().value}


def _parameters(stage: str) -> dict[str, Any]:
    return {"params": {"params.yaml": {stage: YAML(typ="safe", pure=True).load(Path("params.yaml"))[stage]}}}


def parameters(stages: Stages) -> dict[str, str]:
    """All their parameters, by names such as `train.losses.l1`."""
    sections = [entry["params"]["params.yaml"] for entry in stages.values()]
    return {name: str(value) for section in sections for name, value in flatten(section, ".").items()}


def digests(stages: Stages) -> dict[str, str]:
    """DVC's digest (`<md5>` or `<md5>.dir`) of each of their outs, by path."""
    return {out["path"]: out["md5"] for entry in stages.values() for out in entry.get("outs", [])}


def training_key(stages: Stages) -> str:
    """A name for all that decides a training but the machine: its command, code and data, and parameters so far."""
    train = stages["train"]
    deps = {dep["path"]: dep["md5"] for dep in train.get("deps", [])}
    upstream = {name: stages[name]["params"] for name in STAGES[: STAGES.index("train")] if name in stages}
    return _digest([train.get("cmd"), deps, train["params"], upstream])


def training_name(stages: Stages) -> str:
    """What a training has made, and of what."""
    return f"{training_key(stages)} {result_key({name: stages[name] for name in STAGES[:3] if name in stages})}"


def recorded_training() -> str:
    """`training_name` of the workspace's `dvc.lock`; nothing where it has no training."""
    stages = workspace_lock()
    return training_name(stages) if "train" in stages else ""


def result_key(stages: Stages) -> str:
    """A name for a result: all parameters, and the outs of all stages."""
    return _digest([{name: entry["params"] for name, entry in stages.items()}, digests(stages)])


def code_digests(stages: Stages) -> dict[str, str]:
    """A digest of the code that each stage depends on, by stage."""
    return {
        name: _digest({dep["path"]: dep["md5"] for dep in entry.get("deps", []) if dep["path"].startswith("pipeline/")})
        for name, entry in stages.items()
    }


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def flatten(tree: dict[str, Any], separator: str) -> dict[str, Any]:
    """The leaves of nested dictionaries, by the keys on the way to them."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        below = flatten(value, separator) if isinstance(value, dict) else {"": value}
        leaves |= {f"{key}{separator}{rest}".removesuffix(separator): leaf for rest, leaf in below.items()}
    return leaves


def code_state() -> dict[str, str]:
    """The git commit, whether tracked files other than `dvc.lock` differ from it, and DVC's name of the experiment."""
    state = {}
    commit = _git("rev-parse", "HEAD")
    if commit:
        state["git.commit"] = commit
        state["git.dirty"] = str(
            bool(_git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock"))
        ).lower()
    if os.environ.get("DVC_EXP_NAME"):
        state["dvc.experiment"] = os.environ["DVC_EXP_NAME"]
    return state


def name(code: dict[str, str]) -> str:
    """What to call an experiment: as DVC does, else by branch and commit, with a `+` where tracked files differ."""
    if "dvc.experiment" in code:
        return code["dvc.experiment"]
    if "git.commit" not in code:
        return "without git"
    branch = _git("branch", "--show-current") or "detached"
    return f"{branch} {code['git.commit'][:7]}{'+' if code['git.dirty'] == 'true' else ''}"


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
