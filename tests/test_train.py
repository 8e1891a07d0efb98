from hashlib import sha256

import pandas as pd
import pytest
import torch

from pipeline import train
from pipeline.runtime.errors import UserError
from pipeline.training import checkpoint
from pipeline.training.batches import sample_indices
from pipeline.training.curves import Curves


@pytest.fixture
def gone_wrong() -> Curves:
    """Five good steps, a point, and a step whose loss is no number."""
    curves = Curves()
    for _ in range(5):
        curves.add({"l1": torch.tensor(0.1)})
    curves.point()
    curves.add({"l1": torch.tensor(float("nan"))})
    return curves


def test_a_loss_that_is_no_number_is_one_line_with_all_that_is_needed(gone_wrong, ten_pairs, train_params, tmp_path):
    checkpoint.save(tmp_path, 4, {}, {})
    with pytest.raises(UserError) as error:
        train.raise_if_diverged(gone_wrong, ten_pairs, train_params, tmp_path)
    text = str(error.value)
    rows = [row for row, _ in sample_indices(5, 10, train_params.batch, train_params.seed)]
    assert text.startswith("train: step 6: l1 is nan; set a smaller train.lr")
    assert f"image ids of the batch: {', '.join(map(str, rows))};" in text
    assert f"last good checkpoint: {tmp_path}/step-00000004.safetensors" in text
    assert "\n" not in text
    assert pd.read_csv(tmp_path / "losses.csv").step.tolist() == [5]


def test_what_has_gone_wrong_is_not_kept_as_a_checkpoint(gone_wrong, ten_pairs, train_params, tmp_path):
    trainer = train.Trainer(train_params, torch.device("cpu"))
    with pytest.raises(UserError, match="last good checkpoint: none"):
        train.save_checkpoint(trainer, gone_wrong, ten_pairs, tmp_path)
    assert checkpoint.list_checkpoints(tmp_path) == []


def test_weights_that_are_no_numbers_are_not_kept_as_a_checkpoint(ten_pairs, train_params, tmp_path):
    trainer, curves = train.Trainer(train_params, torch.device("cpu")), Curves()
    curves.add({"l1": torch.tensor(0.1)})
    next(trainer.generator.parameters()).data[0] = torch.nan
    with pytest.raises(UserError, match="step 1: generator/.* is not finite; set a smaller train.lr and train.muon_lr"):
        train.save_checkpoint(trainer, curves, ten_pairs, tmp_path)
    assert checkpoint.list_checkpoints(tmp_path) == []


@pytest.fixture
def stopped(train_params, ten_pairs, tmp_path):
    """A training with checkpoints at steps 0 and 1, and a picture beside each."""
    trainer, curves = train.Trainer(train_params, torch.device("cpu")), Curves()
    folder = tmp_path / "training"
    folder.mkdir()
    for step in (0, 1):
        path = train.picture(folder, step)
        path.write_bytes(b"a picture")
        curves.scores.append({"step": step, "psnr": 20.0})
        curves.pictures[path.name] = sha256(b"a picture").hexdigest()
        numbers, recent = curves.pack()
        checkpoint.save(folder, step, trainer.state() | {"recent": recent}, numbers)
        batches = train.training_batches(ten_pairs, train_params.batch, 0, 0, range(1))
        curves.add(trainer.step(step, next(batches)))
    return trainer, folder


NAME = "average/stem.1.bias"
BESIDE = {
    "no picture": lambda picture: picture.unlink(),
    "another picture": lambda picture: picture.write_bytes(b"a pictura"),
    "a picture that is a folder": lambda picture: (picture.unlink(), picture.mkdir()),
}


def of_type(dtype, name=NAME):
    return lambda tensors, numbers: tensors.update({name: tensors[name].to(dtype)})


def tensor(name, change):
    return lambda tensors, numbers: tensors.update({name: change(tensors[name])})


def number(key, value):
    return lambda tensors, numbers: numbers.update({key: value})


def without(name):
    return lambda tensors, numbers: tensors.pop(name)


POINT = {"step": 1, "l1": 0.5}
SCORE = {"step": 1, "psnr": 20.0}
CONTENT = {
    "a tensor less": without("generator_adam/0/exp_avg"),
    "a tensor more": lambda tensors, numbers: tensors.update({"generator/more": torch.zeros(1)}),
    "another shape": tensor(NAME, lambda bias: bias[:1]),
    "not a number": tensor(NAME, lambda bias: bias * torch.nan),
    "integers": of_type(torch.int64),
    "truth": of_type(torch.bool),
    "complex": of_type(torch.complex64),
    "double": of_type(torch.float64),
    "half": of_type(torch.bfloat16),
    "a double moment": of_type(torch.float64, "generator_adam/0/exp_avg"),
    "a whole step": of_type(torch.int64, "generator_adam/0/step"),
    "random numbers of zeros": tensor("rng", torch.zeros_like),
    "random numbers of ones": tensor("rng", lambda rng: torch.full_like(rng, 255)),
    "random numbers that are floats": of_type(torch.float32, "rng"),
    "no random numbers": without("rng"),
    "nothing recent": without("recent"),
    "recent in three dimensions": tensor("recent", lambda recent: recent[None]),
    "recent in one": tensor("recent", lambda recent: recent[0]),
    "recent of another width": tensor("recent", lambda recent: recent[:, 1:]),
    "recent twice": tensor("recent", lambda recent: recent.repeat(2, 1)),
    "recent that is double": of_type(torch.float64, "recent"),
    "recent without end": tensor("recent", lambda recent: recent * torch.inf),
    "recent without numbers": tensor("recent", lambda recent: recent * torch.nan),
    "pictures that are a list": number("pictures", []),
    "no pictures": number("pictures", None),
    "pictures that are forgotten": number("pictures", {}),
    "a picture without a score": lambda tensors, numbers: numbers["scores"].pop(),
    "a picture elsewhere": lambda tensors, numbers: numbers["pictures"].update({"/dev/zero": "0"}),
    "a digest that is a number": lambda tensors, numbers: numbers["pictures"].update({"step-0000001.png": 1}),
    "no scores": number("scores", None),
    "scores that are text": number("scores", "20 dB"),
    "a score without a step": lambda tensors, numbers: numbers["scores"][1].pop("step"),
    "a score without a value": lambda tensors, numbers: numbers["scores"][1].pop("psnr"),
    "a score that is no number": lambda tensors, numbers: numbers["scores"].append(SCORE | {"psnr": float("nan")}),
    "a score twice": lambda tensors, numbers: numbers["scores"].append(SCORE),
    "a score to come": lambda tensors, numbers: numbers["scores"][1].update(step=2),
    "losses that are a number": number("losses", 7),
    "losses of junk": number("losses", ["junk", None]),
    "a loss unheard of": number("losses", [POINT | {"l2": 0.5}]),
    "a loss that is text": number("losses", [POINT | {"l1": "0.5"}]),
    "a loss that is nothing": number("losses", [POINT | {"penalty": None}]),
    "a loss that is endless": number("losses", [POINT | {"l1": float("inf")}]),
    "a loss too early": number("losses", [POINT | {"step": 0}]),
    "a loss that is recent too": number("losses", [POINT]),
    "no losses": lambda tensors, numbers: numbers.pop("losses"),
    "a step far away": number("step", 10**9),
    "a step before": number("step", 0),
    "a step that is a float": number("step", 1.0),
    "a step that is text": number("step", "1"),
    "a step that is true": number("step", True),
    "no step": lambda tensors, numbers: numbers.pop("step"),
    "one more number": number("x" * 10_000, 1),
}


def resumed_at_step_0(trainer, folder, capsys):
    """The checkpoint of step 1 is named in one line, and the one before is used."""
    before = trainer.state()
    assert train.resume(trainer, folder).step == 0
    said = capsys.readouterr()
    assert said.err.startswith(f"warning: {folder}/step-00000001.safetensors is passed over: ")
    assert len(said.err.splitlines()) == 1
    assert len(said.err) < 500 + len(str(folder))
    assert "continues at step 0" in said.out
    _, kept, _ = checkpoint.newest(folder, 0)
    state = trainer.state()
    assert before.keys() >= state.keys()
    assert all(torch.equal(state[name], kept[name]) for name in state if name in kept)


@pytest.mark.parametrize("how", BESIDE)
def test_a_checkpoint_whose_picture_is_not_as_it_was_is_named_and_the_one_before_is_used(how, stopped, capsys):
    trainer, folder = stopped
    BESIDE[how](train.picture(folder, 1))
    resumed_at_step_0(trainer, folder, capsys)


@pytest.mark.parametrize("how", CONTENT)
def test_a_checkpoint_that_does_not_fit_is_named_and_the_one_before_is_used(how, stopped, capsys):
    trainer, folder = stopped
    _, tensors, numbers = checkpoint.newest(folder, 1)
    CONTENT[how](tensors, numbers)
    checkpoint.save(folder, 1, tensors, numbers)
    resumed_at_step_0(trainer, folder, capsys)


@pytest.mark.parametrize("numbers", [[1, 2], None, 1, "step", {}])
def test_a_checkpoint_with_other_numbers_is_named_and_the_one_before_is_used(numbers, stopped, capsys):
    trainer, folder = stopped
    _, tensors, _ = checkpoint.newest(folder, 1)
    checkpoint.save(folder, 1, tensors, numbers)
    resumed_at_step_0(trainer, folder, capsys)


def test_a_checkpoint_that_fits_is_used(stopped, capsys):
    trainer, folder = stopped
    curves = train.resume(trainer, folder)
    assert (curves.step, len(curves.pending), curves.scores) == (1, 1, [SCORE | {"step": 0}, SCORE])
    assert capsys.readouterr().err == ""


def test_pairs_of_another_size_than_the_parameters_have_are_refused(ten_pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "PAIRS", tmp_path / "pairs")
    assert len(train.open_pairs("train", 32)) == 10
    with pytest.raises(UserError, match="pictures of 32 x 32 px; corrupt.image_size is 64; run dvc repro corrupt"):
        train.open_pairs("train", 64)
