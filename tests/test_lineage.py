import re
import subprocess

import pytest

from pipeline import lineage
from pipeline.runtime.errors import UserError
from tests.clone import ROOT

LOCK = (ROOT / "dvc.lock").read_text()
DOUBLED = "a: &a0 [1]\n" + "".join(f"b{n}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(30))
DOUBLED += "stages: {train: {params: {params.yaml: {train: {deep: *a30}}}}}\n"  # 2 ** 30 numbers


@pytest.fixture(autouse=True)
def in_scratch_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())


def test_without_a_lock_nothing_is_recorded():
    assert lineage.workspace_lock() == {}
    assert lineage.recorded_training() == ""
    assert lineage.stages_with_running("train").keys() == {"download", "corrupt", "train"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "schema: '2.0'\n", "schema: '2.0'\nstages:\n"])
def test_an_empty_lock_has_no_stages(text, tmp_path):
    (tmp_path / "dvc.lock").write_text(text)
    assert lineage.workspace_lock() == {}


@pytest.mark.parametrize(
    "text",
    [
        "<<<<<<< HEAD\n" + LOCK,
        LOCK[: len(LOCK) // 2].rpartition("md5: ")[0] + "md5",
        "just words",
        "[1]",
        "stages: [1, 2]",
        "stages: {train: null}",
        "stages: {train: {cmd: a}}",
        "stages: {train: {params: {params.yaml: []}}}",
        LOCK.replace("md5: ", "sha: "),
        "{" * 2000,
        "stages: !!int x",
        "stages: !!bool x",
        "stages: &a {train: {params: {params.yaml: {train: *a}}}}",
        "stages: {train: !!set {params}}",
        *(
            re.sub(rf"\b{key}: .*", f"{key}: {value}", LOCK, count=1)
            for key in ("lr", "md5", "cmd")
            for value in (
                "2026-11-25",
                "2026-11-25T10:00:00Z",
                "2026-02-31",
                "!!set {a, b}",
                "!!binary aGVsbG8=",
                "&loop [*loop]",
                "&loop {a: *loop}",
                "{1: 2}",
            )
        ),
        DOUBLED,
    ],
)
def test_a_lock_that_is_damaged_is_refused_in_one_line(text, tmp_path):
    (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(UserError, match="^dvc.lock: damaged; remove it and run dvc repro") as error:
        lineage.recorded_training()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["[1]", "{", DOUBLED, "stages: {train: {params: {params.yaml: {train: 2026-11-25}}}}"])
def test_a_damaged_lock_of_a_commit_is_refused_in_one_line(text, tmp_path):
    (tmp_path / "dvc.lock").write_text(text)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "dvc.lock"], ["commit", "-qm", "A lock"]):
        subprocess.run([*git, *arguments], check=True)
    with pytest.raises(UserError, match="^dvc.lock of HEAD: damaged; ") as error:
        lineage.committed("HEAD")
    assert "\n" not in str(error.value)


def test_stages_that_are_not_ours_are_left_out(tmp_path):
    (tmp_path / "dvc.lock").write_text(LOCK + "  mine:\n    cmd: make coffee\n")
    assert lineage.workspace_lock().keys() == set(lineage.STAGES)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, "dvc.yaml: no such file; run in the top folder of the repository"),
        ("stages: [", "dvc.yaml: has no deps of train; git checkout dvc.yaml"),
        ("stages: {}", "dvc.yaml: has no deps of train; git checkout dvc.yaml"),
        ("- 1", "dvc.yaml: has no deps of train; git checkout dvc.yaml"),
        ("", "dvc.yaml: has no deps of train; git checkout dvc.yaml"),
    ],
)
def test_without_stages_there_is_no_fingerprint(text, line, tmp_path):
    if text is not None:
        (tmp_path / "dvc.yaml").write_text(text)
    with pytest.raises(UserError, match=line):
        lineage.fingerprint("train", {})


@pytest.mark.parametrize("stage", lineage.STAGES)
def test_a_parameter_is_part_of_the_keys_of_all_that_depends_on_it(stage):
    stages, changed = lineage.parse_lock(LOCK), lineage.parse_lock(LOCK)
    changed[stage]["params"]["params.yaml"][stage]["more"] = 1
    assert lineage.result_key(changed) != lineage.result_key(stages)
    assert (lineage.training_key(changed) != lineage.training_key(stages)) == (stage != "evaluate")


def test_the_data_and_the_code_are_part_of_the_keys():
    stages, outs, deps = (lineage.parse_lock(LOCK) for _ in range(3))
    outs["train"]["outs"][0]["md5"] = deps["train"]["deps"][0]["md5"] = "decaf"
    assert lineage.result_key(outs) != lineage.result_key(stages) == lineage.result_key(deps)
    assert lineage.training_key(deps) != lineage.training_key(stages) == lineage.training_key(outs)


def test_a_fingerprint_is_of_the_facts_and_of_the_bytes_of_the_deps(tmp_path):
    (tmp_path / "dvc.yaml").write_text("stages: {train: {deps: [data]}}")
    (tmp_path / "data").mkdir()
    found = []
    for content, facts in (("a", {}), ("a", {"lr": 1}), ("b", {}), ("a", {})):
        (tmp_path / "data/pairs").write_text(content)
        found.append(lineage.fingerprint("train", facts))
    assert found[0] == found[3]
    assert len(set(found)) == 3
