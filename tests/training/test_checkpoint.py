import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipeline.runtime.errors import UserError
from pipeline.training import checkpoint
from pipeline.training.batches import training_batches
from pipeline.training.curves import Curves
from pipeline.training.objectives import OBJECTIVES
from pipeline.training.trainer import Trainer

CPU = torch.device("cpu")
TENSORS = {"weight": torch.arange(6.0).reshape(2, 3)}


def train(trainer, curves, pairs, steps):
    for batch in training_batches(pairs, trainer.params, range(curves.step, steps)):
        curves.add(trainer.step(curves.step, batch))
        if curves.step % 3 == 0:
            curves.add_point()


def carried_over(trainer, curves, folder):
    """The same training as a new process finds it."""
    numbers, pending = curves.state_dict()
    checkpoint.save(folder, curves.step, trainer.state_dict() | {"pending": pending}, numbers)
    _, tensors, numbers = checkpoint.read_newest(folder, curves.step)
    fresh = Trainer(trainer.params, CPU)
    pending = tensors.pop("pending")
    fresh.load_state_dict(tensors)
    return fresh, Curves.from_state_dict(numbers, pending)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.long
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stops=st.sets(st.integers(0, 10), max_size=3),
    objective=st.sampled_from(sorted(OBJECTIVES)),
    schedule=st.sampled_from(["cosine", "constant"]),
    clip=st.sampled_from([0.0, 0.01]),
)
def test_a_training_stopped_at_any_steps_ends_in_the_same_bits(
    stops, objective, schedule, clip, train_params, ten_pairs, tmp_path_factory
):
    changes = {"objective": objective, "schedule": schedule, "clip": clip, "steps": 11}
    params = train_params.model_copy(update=changes)
    trainer, curves = Trainer(params, CPU), Curves()
    train(trainer, curves, ten_pairs, 11)
    stopped, its_curves = Trainer(params, CPU), Curves()
    for stop in sorted(stops):
        train(stopped, its_curves, ten_pairs, stop)
        stopped, its_curves = carried_over(stopped, its_curves, tmp_path_factory.mktemp("checkpoints"))
    train(stopped, its_curves, ten_pairs, 11)
    state, resumed = trainer.state_dict(), stopped.state_dict()
    del state["rng"], resumed["rng"]  # of torch's numbers none is drawn; the loader draws one each time it starts
    assert same(state, resumed)
    assert its_curves.losses == curves.losses
    assert same({"pending": its_curves.state_dict()[1].nan_to_num()}, {"pending": curves.state_dict()[1].nan_to_num()})


def test_under_a_constant_schedule_a_longer_training_goes_on_from_a_shorter_one(train_params, ten_pairs, tmp_path):
    short = train_params.model_copy(update={"schedule": "constant", "steps": 4})
    long = short.model_copy(update={"steps": 9})
    whole, shorter = Trainer(long, CPU), Trainer(short, CPU)
    train(whole, Curves(), ten_pairs, 9)
    curves = Curves()
    train(shorter, curves, ten_pairs, 4)
    shorter, curves = carried_over(shorter, curves, tmp_path)
    shorter.params = long
    train(shorter, curves, ten_pairs, 9)
    assert same(whole.ema.state_dict(), shorter.ema.state_dict())


def test_the_last_three_checkpoints_stay(tmp_path):
    for step in (5, 10, 15, 20):
        checkpoint.save(tmp_path, step, TENSORS, {"step": step})
    assert [path.stem for path in checkpoint.list_checkpoints(tmp_path)] == [
        "step-00000020",
        "step-00000015",
        "step-00000010",
    ]
    assert checkpoint.read_newest(tmp_path, 100)[2] == {"step": 20}
    assert checkpoint.read_newest(tmp_path, 17)[2] == {"step": 15}
    assert checkpoint.read_newest(tmp_path, 9) is None


@given(share=st.floats(0, 0.999))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_checkpoint_that_was_cut_is_named_and_the_one_before_is_used(share, tmp_path, capsys):
    for step in (5, 10):
        checkpoint.save(tmp_path, step, TENSORS, {"step": step})
    path = tmp_path / "step-00000010.safetensors"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert checkpoint.read_newest(tmp_path, 10)[2] == {"step": 5}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {path} is passed over")


@pytest.mark.parametrize(
    ("key", "value"), [("format", "mendline checkpoint 0"), ("training", "another\n" * 1000), ("format", None)]
)
def test_a_checkpoint_of_another_version_or_training_is_named_and_passed_over(key, value, tmp_path, capsys):
    header = {"format": checkpoint.FORMAT, "training": tmp_path.name} | {key: value}
    header = {name: text for name, text in header.items() if text is not None}
    save_file(TENSORS, tmp_path / "step-00000010.safetensors", header)
    assert checkpoint.read_newest(tmp_path, 10) is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {tmp_path}/step-00000010.safetensors is passed over")


def test_a_checkpoint_whose_numbers_were_changed_is_named_and_the_one_before_is_used(tmp_path, capsys):
    for step in (5, 10):
        checkpoint.save(tmp_path, step, TENSORS, {"step": step})
    path = tmp_path / "step-00000010.safetensors"
    with safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    tensors["weight"][1, 1] = torch.nan
    save_file(tensors, path, header)
    assert checkpoint.read_newest(tmp_path, 10)[2] == {"step": 5}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {path} is passed over: its sha256 is ")


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"{", b"\xff\xfe", b"9" * 5000, b'{"step": 5}', b"{}", b"", b"[10]", b"null"]
)
def test_a_checkpoint_whose_numbers_are_no_numbers_is_passed_over_in_one_line(content, tmp_path, capsys):
    for step in (5, 10):
        checkpoint.save(tmp_path, step, TENSORS, {"step": step})
    path = tmp_path / "step-00000010.safetensors"
    with safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = TENSORS | {"numbers": torch.tensor(list(content), dtype=torch.uint8)}
    save_file(tensors, path, header | {"sha256": checkpoint._checksum(tensors)})
    assert checkpoint.read_newest(tmp_path, 10)[2] == {"step": 5}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {path} is passed over: ")
    assert "its sha256" not in line
    assert len(line) < 500 + len(str(path))


def test_a_checkpoint_under_the_name_of_another_step_is_passed_over(tmp_path):
    checkpoint.save(tmp_path, 5, TENSORS, {"step": 5})
    (tmp_path / "step-00000005.safetensors").rename(tmp_path / "step-00000010.safetensors")
    assert checkpoint.read_newest(tmp_path, 10) is None


@pytest.mark.parametrize("name", ["step-deadbeef.safetensors", "step-00000010.safetensors"])
def test_what_is_no_checkpoint_is_left_alone(name, tmp_path):
    (tmp_path / name).mkdir()
    for step in (1, 2, 3, 4):
        checkpoint.save(tmp_path, step, TENSORS, {"step": step})
    assert checkpoint.read_newest(tmp_path, 10)[2] == {"step": 4}
    assert (tmp_path / name).is_dir()


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"muon_lr": 0.0},
        {"generator": {"design": "textbook"}, "discriminator": {"norm": "batch"}},
        {"losses": {"adversarial": 0.0}},
    ],
)
def test_a_trainer_knows_what_its_state_has(steps, changes, train_params, ten_pairs):
    sections = {
        name: getattr(train_params, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    trainer = Trainer(train_params.model_copy(update=sections), CPU)
    train(trainer, Curves(), ten_pairs, steps)
    expected = {name: (each.shape, each.dtype) for name, each in trainer.state_dict().items()}
    assert Trainer(trainer.params, CPU).layout(steps) == expected


def ended(root, name, made):
    folder = root / ".cache/checkpoints" / name
    with checkpoint.exclusive_folder(folder):
        for step in (4, 8):
            checkpoint.save(folder, step, TENSORS, {"step": step})
        checkpoint.mark_ended(folder, made)
    return folder


def test_the_last_checkpoint_of_an_ended_training_stays_until_what_it_made_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    first, second = ended(tmp_path, "first", "a model"), ended(tmp_path, "second", "another")
    checkpoint.discard_ended("")
    assert checkpoint.read_newest(first, 8)[2] == {"step": 8}
    assert len(checkpoint.list_checkpoints(first)) == 1
    checkpoint.discard_ended("a model")
    assert not first.exists()
    assert checkpoint.read_newest(second, 8)[2] == {"step": 8}


def test_an_ended_training_that_runs_again_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    folder = ended(tmp_path, "first", "a model")
    with checkpoint.exclusive_folder(folder):
        checkpoint.discard_ended("a model")
        assert len(checkpoint.list_checkpoints(folder)) == 1


def test_a_full_disk_costs_the_new_checkpoint_and_not_the_old_one(tmp_path, capsys):
    checkpoint.save(tmp_path, 5, TENSORS, {"step": 5})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        checkpoint.save(tmp_path, 10, {"weight": torch.zeros(10_000)}, {"step": 10})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: no checkpoint at step 10")
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005.safetensors"]


def test_a_second_training_with_the_same_parameters_is_refused(tmp_path, monkeypatch):
    holder = "import sys; from pathlib import Path; from pipeline.training import checkpoint\n"
    holder += "with checkpoint.exclusive_folder(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    monkeypatch.setattr(checkpoint, "WAIT", 0.1)
    with subprocess.Popen(
        [sys.executable, "-c", holder, tmp_path / "training"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as first:
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match="another training with the same parameters"):
            checkpoint.exclusive_folder(tmp_path / "training").__enter__()
        first.kill()
    with checkpoint.exclusive_folder(tmp_path / "training"):
        assert (tmp_path / "training").is_dir()
