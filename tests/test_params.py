import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from ruamel.yaml import YAML

from pipeline.errors import UserError
from pipeline.lineage import STAGES
from pipeline.params import Params, Weights, expected, load

ROOT = Path(__file__).parent.parent
YAML_TEXT = (ROOT / "params.yaml").read_text()


def leaves(tree: dict, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    found = {}
    for key, value in tree.items():
        found |= leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
    return found


def model_leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found = set()
    for name, field in model.model_fields.items():
        nested = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        found |= model_leaves(field.annotation, (*path, name)) if nested else {(*path, name)}
    return found


def comments() -> dict[tuple[str, ...], str]:
    path, found = [], {}
    for line in YAML_TEXT.splitlines():
        if match := re.match(r"( *)(\w+):[^#]*(?:# (.*))?$", line):
            path[len(match[1]) // 2 :] = [match[2]]
            found[tuple(path)] = match[3] or ""
    return found


LEAVES = leaves(YAML(typ="safe", pure=True).load(YAML_TEXT))
BOUNDED = [path for path in LEAVES if " to " in expected(path) and not isinstance(LEAVES[path], list)]


def load_with(path: tuple[str, ...], value: str, folder: Path) -> Params:
    tree = YAML(typ="safe", pure=True).load(YAML_TEXT)
    section = tree
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = YAML(typ="safe", pure=True).load(value)
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(tree, file)
    return load(folder / "params.yaml")


def test_the_keys_of_yaml_model_and_dvc_agree():
    assert set(LEAVES) == model_leaves(Params)
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    assert {stage: definition["params"] for stage, definition in stages.items()} == {
        section: [section]
        for section in Params.model_fields
        if section != "tracking"  # it reruns no stage
    }


def test_every_comment_states_the_range_that_is_checked():
    stated = comments()
    for path in LEAVES:
        assert re.match(re.escape(expected(path)) + r"(: |$)", stated[path]), path


@pytest.mark.parametrize("path", BOUNDED, ids=".".join)
def test_a_value_outside_its_range_is_named_with_the_range(path, tmp_path):
    too_much = "1" + "0" * 12
    with pytest.raises(UserError) as error:
        load_with(path, too_much, tmp_path)
    text = str(error.value)
    assert f"{'.'.join(path)} is {too_much}; expected {expected(path)}" in text
    assert "\n" not in text


@given(value=st.text(st.characters(codec="ascii", categories=["L"]), min_size=1))
def test_a_word_is_no_number(value, tmp_path_factory):
    with pytest.raises(UserError, match=r"train\.lr is .*; expected above 0, at most 0\.1"):
        load_with(("train", "lr"), f"'{value}'", tmp_path_factory.mktemp("params"))


def test_scientific_notation_is_a_number(tmp_path):
    assert load_with(("train", "lr"), "1e-4", tmp_path).train.lr == 1e-4


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("train", "batsch"), "3", "train.batsch is not a parameter"),
        (("corrupt", "occlusion", "count"), "[3, 1]", r"corrupt.occlusion.count is \[3, 1\]; expected the lower bound"),
        (("corrupt", "stain", "opacity"), "[0.5, 2]", r"corrupt.stain.opacity.1 is 2; expected 0.1 to 1"),
        (("corrupt", "mixed", "kinds"), "[stain, lowres]", "corrupt.mixed.kinds.1 is 'lowres'; expected occlusion, "),
        (("corrupt", "lowres", "factors"), "[2, 2]", "expected each value once"),
        (("corrupt", "image_size"), "120", "corrupt.image_size is 120; expected a multiple of 16"),
        (
            ("train", "crop"),
            "40",
            "train.crop is 40; expected 0, or from 16 on a multiple of 16",
        ),
        (("train", "objective"), "wgan", "train.objective is 'wgan'; expected minimax, nonsaturating, hinge"),
        (("train",), "", "train is None; expected a section"),
        (("train", "warmup"), "800", r"train.warmup is 800; expected less than train.steps \(800\)"),
    ],
)
def test_what_is_wrong_is_said(path, value, message, tmp_path):
    with pytest.raises(UserError, match=message):
        load_with(path, value, tmp_path)


def test_a_corruption_must_have_weight(tmp_path):
    weights = dict.fromkeys(Weights.model_fields, 0)
    with pytest.raises(UserError, match=r"corrupt\.weights is .*; expected one of them above 0"):
        load_with(("corrupt", "weights"), str(weights), tmp_path)


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "\x00"])
def test_a_file_that_holds_no_parameters_is_refused_in_one_line(text, tmp_path):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        load(tmp_path / "params.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_refuses_a_bad_value_of_any_section_before_any_work(stage, tmp_path):
    (tmp_path / "params.yaml").write_text(YAML_TEXT.replace("rows: 16", "rows: none"))
    done = subprocess.run(
        [sys.executable, "-m", f"pipeline.{stage}"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "error: params.yaml: evaluate.rows is 'none'; expected 1 to 64\n"
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
