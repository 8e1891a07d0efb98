from dataclasses import replace
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline.runtime import stop
from pipeline.runtime.errors import UserError
from pipeline.tracking.live_run import Untracked
from pipeline.training import checkpoint
from pipeline.training.batches import sample_indices, training_batches
from pipeline.training.curves import Curves
from pipeline.training.run import TrainingRun
from pipeline.training.trainer import Trainer

CPU = torch.device("cpu")


class Logged(Untracked):
    """Remembers what MLflow would be told."""

    def __init__(self):
        self.values, self.pictures = {}, {}

    def points(self, points):
        for step, values in points:
            self.values |= {(name, step): value for name, value in values.items()}

    def picture(self, name, picture, step):
        self.pictures[name, step] = picture


@pytest.fixture
def run(train_params, ten_pairs, tmp_path) -> TrainingRun:
    """A training of six steps that has not begun."""
    often = {"log_every": 5, "validate_every": 3, "checkpoint_every": 3, "samples": 2}
    folder = tmp_path / "training"
    folder.mkdir()
    trainer = Trainer(train_params.model_copy(update=often), CPU)
    return TrainingRun(trainer, ten_pairs, ten_pairs, folder, Logged())


def begun_again(run: TrainingRun) -> TrainingRun:
    """The same training as a new process finds it."""
    return replace(run, trainer=Trainer(run.trainer.params, CPU), curves=Curves(), tracked=Logged())


def same(first: Trainer, second: Trainer) -> bool:
    state, other = first.state_dict(), second.state_dict()
    return state.keys() == other.keys() and all(
        torch.equal(state[name], other[name]) for name in state.keys() - {"rng"}
    )


def test_a_training_logs_validates_and_saves_as_often_as_it_is_told(run):
    run.resume()
    run.fit()
    losses, scores = run.curves.tables()
    assert losses.step.tolist() == [5, 6]
    assert scores.step.tolist() == [0, 3, 6]
    assert [path.stem for path in checkpoint.list_checkpoints(run.folder)] == [f"step-{step:08}" for step in (6, 3)]
    assert run.tracked.values == {
        (f"{curve}/{name}", point["step"]): value
        for curve, points in (("train", run.curves.losses), ("val", run.curves.scores))
        for point in points
        for name, value in point.items()
        if name != "step"
    }
    assert list(run.tracked.pictures) == [("restored", step) for step in (0, 3, 6)]
    for (_, step), picture in run.tracked.pictures.items():
        with Image.open(run.picture_path(step)) as saved:
            assert np.array_equal(saved, picture)


def test_the_score_is_of_the_averaged_generator(run):
    run.validate()
    for parameter in run.trainer.generator.parameters():
        parameter.data.fill_(1.0)
    run.validate()
    assert run.curves.scores[0] == run.curves.scores[1]
    for parameter in run.trainer.ema.parameters():
        parameter.data.fill_(1.0)
    run.validate()
    assert run.curves.scores[2]["psnr"] < run.curves.scores[0]["psnr"]


class StopsAtStep3(Logged):
    """Tells the stage to stop while it validates at step 3."""

    def picture(self, name, picture, step):
        super().picture(name, picture, step)
        if step == 3:
            stop.ask("a test")


def test_a_training_that_is_stopped_saves_a_checkpoint_and_ends_as_one_that_is_not(run, monkeypatch, tmp_path):
    undisturbed = replace(begun_again(run), folder=tmp_path / "undisturbed")
    undisturbed.folder.mkdir()
    undisturbed.fit()
    monkeypatch.setattr(stop, "_request", stop._Request())
    run.tracked = StopsAtStep3()
    with pytest.raises(stop.Stopped):
        run.fit()
    monkeypatch.undo()
    again = begun_again(run)
    again.resume()
    assert (again.curves.step, len(again.curves.pending)) == (4, 4)
    assert again.tracked.values == run.tracked.values
    assert again.tracked.pictures.keys() == run.tracked.pictures.keys()
    again.fit()
    assert same(again.trainer, undisturbed.trainer)
    assert again.curves == undisturbed.curves


@pytest.fixture
def gone_wrong() -> Curves:
    """Five good steps, a point, and a step whose loss is no number."""
    curves = Curves()
    for _ in range(5):
        curves.add({"l1": torch.tensor(0.1)})
    curves.add_point()
    curves.add({"l1": torch.tensor(float("nan"))})
    return curves


def test_a_loss_that_is_no_number_is_one_line_with_all_that_is_needed(gone_wrong, run):
    checkpoint.save(run.folder, 4, {}, {})
    run.curves = gone_wrong
    with pytest.raises(UserError) as error:
        run.raise_if_diverged()
    text = str(error.value)
    rows = [row for row, _ in sample_indices(5, 10, run.trainer.params.batch, run.trainer.params.seed)]
    assert text.startswith("train: step 6: l1 is nan; set a smaller train.lr")
    assert f"image ids of the batch: {', '.join(map(str, rows))};" in text
    assert f"last good checkpoint: {run.folder}/step-00000004.safetensors" in text
    assert "\n" not in text
    assert pd.read_csv(run.folder / "losses.csv").step.tolist() == [5]


def test_what_has_gone_wrong_is_not_saved_as_a_checkpoint(gone_wrong, run):
    run.curves = gone_wrong
    with pytest.raises(UserError, match="last good checkpoint: none"):
        run.save()
    assert checkpoint.list_checkpoints(run.folder) == []


def test_weights_that_are_no_numbers_are_not_saved_as_a_checkpoint(run):
    run.curves.add({"l1": torch.tensor(0.1)})
    next(run.trainer.generator.parameters()).data[0] = torch.nan
    with pytest.raises(UserError, match="step 1: generator/.* is not finite; set a smaller train.lr and train.muon_lr"):
        run.save()
    assert checkpoint.list_checkpoints(run.folder) == []


@pytest.fixture
def stopped(run):
    """A training with checkpoints at steps 0 and 1, and a picture beside each, as a new process finds it."""
    trainer, curves, params = run.trainer, run.curves, run.trainer.params
    for step in (0, 1):
        path = run.picture_path(step)
        Image.new("RGB", (8, 8)).save(path)
        curves.scores.append({"step": step, "psnr": 20.0})
        curves.pictures[path.name] = sha256(path.read_bytes()).hexdigest()
        run.save()
        curves.add(trainer.step(step, next(training_batches(run.training, params, range(1)))))
    run.curves = Curves()
    return run


NAME = "ema/stem.1.bias"
BESIDE = {
    "no picture": lambda picture: picture.unlink(),
    "another picture": lambda picture: picture.write_bytes(picture.read_bytes() + b"!"),
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
    "nothing pending": without("pending"),
    "pending in three dimensions": tensor("pending", lambda pending: pending[None]),
    "pending in one": tensor("pending", lambda pending: pending[0]),
    "pending of another width": tensor("pending", lambda pending: pending[:, 1:]),
    "pending twice": tensor("pending", lambda pending: pending.repeat(2, 1)),
    "pending that is double": of_type(torch.float64, "pending"),
    "pending without end": tensor("pending", lambda pending: pending * torch.inf),
    "pending without numbers": tensor("pending", lambda pending: pending * torch.nan),
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
    "a loss that is pending too": number("losses", [POINT]),
    "no losses": lambda tensors, numbers: numbers.pop("losses"),
    "a step far away": number("step", 10**9),
    "a step before": number("step", 0),
    "a step that is a float": number("step", 1.0),
    "a step that is text": number("step", "1"),
    "a step that is true": number("step", True),
    "no step": lambda tensors, numbers: numbers.pop("step"),
    "one more number": number("x" * 10_000, 1),
}


def resumed_at_step_0(run, capsys):
    """The checkpoint of step 1 is named in one line, and the one before is used."""
    before = run.trainer.state_dict()
    run.resume()
    assert run.curves.step == 0
    said = capsys.readouterr()
    assert said.err.startswith(f"warning: {run.folder}/step-00000001.safetensors is passed over: ")
    assert len(said.err.splitlines()) == 1
    assert len(said.err) < 500 + len(str(run.folder))
    assert "continues at step 0" in said.out
    _, saved, _ = checkpoint.read_newest(run.folder, 0)
    state = run.trainer.state_dict()
    assert before.keys() >= state.keys()
    assert all(torch.equal(state[name], saved[name]) for name in state if name in saved)


@pytest.mark.parametrize("how", BESIDE)
def test_a_checkpoint_whose_picture_is_not_as_it_was_is_named_and_the_one_before_is_used(how, stopped, capsys):
    BESIDE[how](stopped.picture_path(1))
    resumed_at_step_0(stopped, capsys)


@pytest.mark.parametrize("how", CONTENT)
def test_a_checkpoint_that_does_not_fit_is_named_and_the_one_before_is_used(how, stopped, capsys):
    _, tensors, numbers = checkpoint.read_newest(stopped.folder, 1)
    CONTENT[how](tensors, numbers)
    checkpoint.save(stopped.folder, 1, tensors, numbers)
    resumed_at_step_0(stopped, capsys)


@pytest.mark.parametrize("numbers", [[1, 2], None, 1, "step", {}])
def test_a_checkpoint_with_other_numbers_is_named_and_the_one_before_is_used(numbers, stopped, capsys):
    _, tensors, _ = checkpoint.read_newest(stopped.folder, 1)
    checkpoint.save(stopped.folder, 1, tensors, numbers)
    resumed_at_step_0(stopped, capsys)


def test_a_checkpoint_that_fits_is_used(stopped, capsys):
    stopped.resume()
    curves = stopped.curves
    assert (curves.step, len(curves.pending), curves.scores) == (1, 1, [SCORE | {"step": 0}, SCORE])
    assert capsys.readouterr().err == ""
