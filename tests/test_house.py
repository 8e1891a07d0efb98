"""The plan of the house, held: which room may import which, and what a stage depends on."""

import ast
import os
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image
from ruamel.yaml import YAML

from pipeline.lineage import STAGES
from pipeline.tracking.model_registry import CODE
from tests.clone import ROOT
from tests.imports import closure, files, imports

LEVELS = [
    {"runtime", "priors", "tasks.py"},
    {"images", "lineage.py", "params.py"},
    {"datasets", "networks"},
    {"corruptions", "sources", "metrics"},
    {"tracking"},
    {"training", "evaluation", "inference", "team"},
    {f"{stage}.py" for stage in STAGES} | {"serve.py"},
    {"commands"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
REPORTING = (  # No dependency of a stage: it says what happens or where, and cannot change what is made.
    "pipeline/tracking/",  # MLflow: a copy of what DVC has
    "pipeline/runtime/command_line.py",  # --help and --version
    "pipeline/runtime/environment.py",  # MENDLINE_*: by which device and how many, of which DVC records nothing either
    "pipeline/runtime/errors.py",  # the words of an error, which ends a stage before it has made anything
    "pipeline/runtime/progress.py",
    "pipeline/runtime/stop.py",  # signals: a stage that is stopped has made nothing
    "pipeline/__init__.py",  # listens to them
)
FRESH = "pipeline/corruptions/fresh_pairs.py"  # for train: data/pairs holds the fingerprint of what it runs
LOOPS = {  # what runs for minutes, and so shows a bar, looks whether it shall stop, or tells MLflow
    *(f"pipeline/{stage}.py" for stage in STAGES),
    "pipeline/evaluation/comparison.py",
    "pipeline/evaluation/detections.py",
    "pipeline/evaluation/translations.py",
    "pipeline/sources/coco/fetch.py",
    "pipeline/sources/folder.py",
    "pipeline/sources/shards.py",
    "pipeline/sources/sample/source.py",
    "pipeline/training/distributed.py",
    "pipeline/training/run.py",
}
OWNERS = {  # of a package: who alone may import it
    "mlflow": ["pipeline/tracking/"],
    "gradio": ["pipeline/commands/app/"],
    "psycopg": ["pipeline/team/"],
    "boto3": ["pipeline/team/"],
    "dvc": [
        "pipeline/lineage.py",
        *(f"pipeline/commands/{name}.py" for name in ("compare", "dvc_errors", "join", "save", "share", "sync")),
        "pipeline/team/remote.py",
    ],
}
HOUSE = sorted(path.relative_to(ROOT) for path in (ROOT / "pipeline").rglob("*.py"))
MODULES = [path for path in HOUSE if path.name != "__init__.py"]
ONNX = ROOT / "models/restore/generator.onnx"
DVC_YAML = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")


def room(path: Path) -> str:
    return path.parts[1]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_room_imports_itself_and_the_rooms_below_it(module):
    above = {file for file in files(module) if room(file) != room(module) and LEVEL[room(file)] >= LEVEL[room(module)]}
    assert not above


def test_every_room_has_its_level():
    assert {room(path) for path in MODULES} == LEVEL.keys()


@pytest.mark.parametrize("package", OWNERS)
def test_a_package_has_its_owners(package):
    users = {path.as_posix() for path in HOUSE if package in {name.split(".")[0] for name in imports(path)}}
    assert users
    assert not {path for path in users if not path.startswith(tuple(OWNERS[package]))}


@pytest.mark.parametrize(
    "package", [path for path in HOUSE if path.name == "__init__.py" and len(path.parts) > 2], ids=str
)
def test_a_package_says_what_its_room_is_for_and_no_more(package):
    (says,) = ast.parse((ROOT / package).read_text()).body
    assert isinstance(says, ast.Expr)


def test_all_packages_are_installed():
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {".".join(path.parent.parts) for path in HOUSE if path.name == "__init__.py"}
    assert set(named) == {*there, "pipeline.models", "mendline"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_code_that_decides_its_outs(stage):
    declared = set()
    for dep in map(Path, DVC_YAML["stages"][stage]["deps"]):
        if dep.parts[0] == "pipeline":
            declared |= {dep} if dep.suffix else {file.relative_to(ROOT) for file in (ROOT / dep).rglob("*.py")}
    packages = {path for path in HOUSE if path.name == "__init__.py"}  # a docstring each
    without = (*REPORTING, FRESH) if stage == "train" else REPORTING
    assert declared - packages == closure(Path(f"pipeline/{stage}.py"), without) - packages


def test_what_computes_the_bytes_of_outs_does_not_report():
    computing = set().union(*(closure(Path(f"pipeline/{stage}.py"), REPORTING) for stage in STAGES))
    computing -= {Path(path) for path in LOOPS} | {Path("pipeline/__init__.py")}
    allowed = {Path("pipeline/runtime/environment.py"), Path("pipeline/runtime/errors.py")}
    reporting = {path: {file for file in files(path) if file.as_posix().startswith(REPORTING)} for path in computing}
    assert not {path: found - allowed for path, found in reporting.items() if found - allowed}


def test_a_registered_model_carries_the_code_that_runs_it():
    assert {Path(path) for path in CODE} == closure(Path("pipeline/tracking/pyfunc.py"))


def installed_beyond(requirements: list[str]) -> list[str]:
    """The modules of all installed packages but those that are required, by themselves or by one that is."""
    required: set[str] = {"mendline"}
    waiting = list(map(Requirement, requirements))
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in required and (not requirement.marker or requirement.marker.evaluate({"extra": ""})):
            required.add(name)
            waiting += map(Requirement, metadata.requires(name) or [])
    owners = {module: set(map(canonicalize_name, names)) for module, names in metadata.packages_distributions().items()}
    return sorted(module for module, names in owners.items() if not names & required)


@pytest.mark.parametrize(
    "command",
    [
        ["mend", "photo.png", "--mask", "mask.png", "-o", "out.png", "--model", str(ONNX)],
        ["mendline", "--help"],
    ],
    ids=["mend", "mendline"],
)
def test_it_runs_with_nothing_but_its_dependencies(command, tmp_path):
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    absent = installed_beyond(dependencies)
    assert {"torch", "pandas", "pydantic", "mlflow", "dvc", "gradio"} <= set(absent)
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(tmp_path / "photo.png")
    Image.fromarray(np.pad(np.full((8, 8), 255, np.uint8), 16)).save(tmp_path / "mask.png")
    script = f"""
import sys
sys.modules |= dict.fromkeys({absent!r})  # an import of one raises
sys.argv = {command!r}
from pipeline.commands.{command[0].replace("mendline", "main")} import main
main()
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert command[0] == "mendline" or Image.open(tmp_path / "out.png").size == (40, 40)


def test_the_facade_is_lazy():
    script = "import sys, mendline; print([name for name in sys.modules if name.startswith('pipeline')])"
    script += "; from mendline import Restorer; print(Restorer.__module__)"
    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert said == "[]\npipeline.inference.restorer\n"
