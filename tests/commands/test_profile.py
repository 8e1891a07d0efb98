import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline import lineage
from pipeline.commands import profile
from pipeline.params import load
from pipeline.runtime.errors import UserError
from tests.clone import ROOT

PROFILES = sorted((ROOT / "profiles").glob("*.yaml"), key=lambda path: path.stem)


def values(path: Path) -> dict[str, object]:
    return lineage.flatten(YAML(typ="safe", pure=True).load(path), ".")


@pytest.fixture
def params(tmp_path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


def test_there_are_the_profiles_that_the_readme_names():
    assert [path.stem for path in PROFILES] == [
        "coco-cpu",
        "coco-gpu",
        "detect",
        "general",
        "painting",
        "real",
        "sample",
        "superres",
        "superres-degraded",
    ]


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


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "holds None; expected sections, as params.yaml has them"),
        ("- 1", "holds [1]; expected sections, as params.yaml has them"),
        ("train: 3", "train is 3; expected a section"),
        ("train: {lr: {a: 1}}", "train.lr is {'a': 1}; expected above 0, at most 0.1"),
        ("nothing: {a: 1}", "nothing is not a parameter; remove it, or check its spelling"),
        ("train: {lr: 2020-13-45}", "not YAML: line 1, column 13: '2020-13-45' is no timestamp; mend it"),
        ("train: [", "not YAML: line 1, column 9: "),
    ],
)
def test_a_profile_that_makes_no_sense_is_named(text, line, params):
    bad = params.with_name("bad.yaml")
    bad.write_text(text)
    before = params.read_text()
    with pytest.raises(UserError) as error:
        profile.apply(bad, params)
    assert str(error.value).startswith(f"{bad}: {line}")
    assert params.read_text() == before


def test_what_an_alias_shares_is_not_changed_behind_ones_back(params):
    text = params.read_text()
    text = text.replace("    prior: plate ", "    prior: &none none ").replace("    norm: none ", "    norm: *none ")
    params.write_text(text)
    changed = params.with_name("changed.yaml")
    changed.write_text("train: {generator: {prior: plate}}\n")
    profile.apply(changed, params)
    assert (load(params).train.discriminator.norm, load(params).train.generator.prior) == ("none", "plate")


def command(folder: Path, name: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.commands.main", "profile", name],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["coco", "", "../params", "sample.yaml", "x" * 5000, "a\nb"])
def test_a_profile_that_is_not_there_is_refused_with_those_that_are(name, params):
    shutil.copytree(ROOT / "profiles", params.parent / "profiles")
    done = command(params.parent, name)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: profiles: no profile ")
    assert line.endswith(f"; expected {', '.join(path.stem for path in PROFILES)}")
    assert len(line) < 220


def test_elsewhere_the_command_says_where_to_run_it(tmp_path):
    done = command(tmp_path, "sample")
    assert done.stderr == "error: params.yaml: no such file; run in the top folder of the repository\n"


def test_the_command_says_what_it_changed(params):
    shutil.copytree(ROOT / "profiles", params.parent / "profiles")
    done = command(params.parent, "superres")
    assert (done.returncode, done.stderr) == (0, "")
    assert "download.source: sample -> coco\n" in done.stdout
    assert "corrupt.weights.scratch: 1.0 -> 0.0\n" in done.stdout
