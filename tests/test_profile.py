import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline import lineage, profile
from pipeline.errors import UserError
from pipeline.params import load
from tests.clone import ROOT

PROFILES = sorted((ROOT / "profiles").glob("*.yaml"))


def values(path: Path) -> dict[str, object]:
    return lineage.flat(YAML(typ="safe", pure=True).load(path), ".")


@pytest.fixture
def params(tmp_path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


def test_there_are_the_profiles_that_the_readme_names():
    assert [path.stem for path in PROFILES] == ["coco-cpu", "coco-gpu", "sample", "superres"]


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_profile_sets_its_values_and_no_others(path, params):
    before, wanted = values(params), values(path)
    profile.apply(path, params)
    assert values(params) == before | wanted
    load(params)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_sample_takes_back_all_that_another_set(path, params):
    profile.apply(path, params)
    profile.apply(ROOT / "profiles/sample.yaml", params)
    assert params.read_text() == (ROOT / "params.yaml").read_text()


def test_what_no_profile_sets_stays(params):
    params.write_text(params.read_text().replace("radius: 3 ", "radius: 5 "))
    profile.apply(ROOT / "profiles/superres.yaml", params)
    assert load(params).evaluate.radius == 5


def test_a_profile_that_does_not_fit_is_refused_and_nothing_changes(params):
    bad = params.with_name("bad.yaml")
    bad.write_text("train: {steps: many}\n")
    before = params.read_text()
    with pytest.raises(UserError, match="train.steps is 'many'; expected 1 to 10000000"):
        profile.apply(bad, params)
    assert params.read_text() == before
    assert sorted(path.name for path in params.parent.iterdir()) == ["bad.yaml", "params.yaml"]


def test_the_command_says_what_it_changed(params):
    shutil.copytree(ROOT / "profiles", params.parent / "profiles")
    command = [sys.executable, "-m", "pipeline.profile", "superres"]
    done = subprocess.run(
        command, cwd=params.parent, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert "download.source: sample -> coco\n" in done.stdout
    assert "corrupt.weights.scratch: 1.0 -> 0.0\n" in done.stdout
