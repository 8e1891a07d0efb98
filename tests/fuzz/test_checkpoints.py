import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipeline.training import checkpoint
from pipeline.training.curves import LOSSES, Curves
from tests.fuzz import COUNTS, inputs
from tests.fuzz.damage import damaged, little_memory

TENSORS = {
    "generator/weight": torch.arange(600.0).reshape(20, 30),
    "generator/0/step": torch.tensor(10.0),
    "rng": torch.arange(50, dtype=torch.uint8),
    "pending": torch.ones(2, 9),
}
NUMBERS = {"step": 10, "scores": [{"step": 0, "psnr": 20.0}]}


@pytest.fixture
def folder(tmp_path):
    """Two checkpoints of a training."""
    checkpoint.save(tmp_path, 5, TENSORS, {"step": 5})
    checkpoint.save(tmp_path, 10, TENSORS, NUMBERS)
    return tmp_path


def right_or_passed_over(folder, capsys):
    """The last checkpoint is read as it was saved, or it is named in one line and the one before is read."""
    path, tensors, numbers = checkpoint.read_newest(folder, 10)
    lines = capsys.readouterr().err.splitlines()
    if numbers == {"step": 5}:
        assert path.name == "step-00000005.safetensors"
        assert [line.startswith(f"warning: {folder}/step-00000010.safetensors is passed over: ") for line in lines] == [
            True
        ]
    else:
        assert numbers == NUMBERS and lines == []
        assert tensors.keys() == TENSORS.keys()
        assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("count", COUNTS)
def test_damaged_checkpoints_are_read_as_saved_or_passed_over_in_one_line(count, folder, capsys):
    path = folder / "step-00000010.safetensors"
    content = path.read_bytes()

    @inputs(count)
    @given(damaged(content))
    def check(spoilt):
        path.write_bytes(spoilt)
        right_or_passed_over(folder, capsys)

    with little_memory():
        check()


changes = st.sampled_from(["leave out", "rename", "scale", "flatten", "half", "double", "nan", "add"])


@pytest.mark.parametrize("count", COUNTS)
def test_checkpoints_with_other_tensors_are_passed_over_in_one_line(count, folder, capsys):
    path = folder / "step-00000010.safetensors"
    with safe_open(path, "pt") as file:
        header = file.metadata()
    saved = load_file(path)

    @inputs(count)
    @given(st.sampled_from(sorted(saved)), changes, st.integers(0, 10))
    def check(name, change, number):
        tensors = dict(saved)
        tensor = tensors.pop(name)
        match change:
            case "rename":
                tensors[f"{name}{number}"] = tensor
            case "scale":
                tensors[name] = tensor + (number + 1)
            case "flatten":
                tensors[name] = torch.cat([tensor.flatten(), tensor.flatten()[:1]])
            case "half":
                tensors[name] = tensor.half()
            case "double":
                tensors[name] = tensor.double()
            case "nan":
                tensors[name] = torch.full_like(tensor.float(), torch.nan).reshape(-1)
            case "add":
                tensors |= {name: tensor, f"more{number}": tensor.clone()}
        save_file(tensors, path, header)
        _, _, numbers = checkpoint.read_newest(folder, 10)
        assert numbers == {"step": 5}
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"warning: {path} is passed over: its sha256 is ")

    check()


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
nested = st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner))


@st.composite
def edited(draw, tree):
    """The tree with a value somewhere replaced, left out or put in under another name."""
    tree = copy.deepcopy(tree)
    node = tree
    while True:
        keys = sorted(node) if isinstance(node, dict) else range(len(node))
        key = draw(st.sampled_from(keys))
        if not isinstance(node[key], dict | list) or not node[key] or draw(st.booleans()):
            break
        node = node[key]
    match draw(st.sampled_from(["replace", "leave out", "put in"])):
        case "replace":
            node[key] = draw(nested)
        case "leave out":
            del node[key]
        case "put in" if isinstance(node, dict):
            node[draw(st.sampled_from([*LOSSES, "step"]) | st.text(max_size=9))] = draw(nested)
        case "put in":
            node.insert(draw(st.integers(0, len(node))), draw(nested))
    return tree


@pytest.mark.parametrize("count", COUNTS)
def test_curves_that_were_edited_are_refused_in_one_line_or_go_on(count):
    curves = Curves()
    for step in range(5):
        curves.add({"l1": torch.tensor(0.5), "contrast": torch.tensor(1.0)})
        if step in {1, 3}:
            curves.add_point()
    curves.scores = [{"step": 0, "psnr": 20.0}, {"step": 4, "psnr": 21.0}]
    curves.pictures = {"step-0000000.png": "c0ffee", "step-0000004.png": "facade"}
    numbers, pending = curves.state_dict()

    @inputs(count)
    @given(edited(numbers))
    def check(changed):
        try:
            read = Curves.from_state_dict(changed, pending)
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) < 300
            return
        read.add({"l1": torch.tensor(0.5)})
        assert read.add_point()["l1"] == 0.5
        steps = [point["step"] for point in read.losses]
        assert steps[-1] == 6 and steps == sorted(set(steps))
        losses, scores = read.tables()
        assert all(isinstance(step, int) for step in [*losses.step.tolist(), *scores.step.tolist()])
        assert all(math.isfinite(value) for value in losses.l1) and all(math.isfinite(value) for value in scores.psnr)

    check()
