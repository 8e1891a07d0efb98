import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipeline.gan import checkpoint
from tests.fuzz import COUNTS, inputs
from tests.fuzz.damage import damaged, little_memory

TENSORS = {
    "generator/weight": torch.arange(600.0).reshape(20, 30),
    "generator/0/step": torch.tensor(10.0),
    "rng": torch.arange(50, dtype=torch.uint8),
    "recent": torch.ones(2, 9),
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
    path, tensors, numbers = checkpoint.newest(folder, 10)
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
        _, _, numbers = checkpoint.newest(folder, 10)
        assert numbers == {"step": 5}
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"warning: {path} is passed over: its sha256 is ")

    check()
