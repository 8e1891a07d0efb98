from hashlib import sha256

import pandas as pd
import pytest
import torch

from pipeline import train
from pipeline.errors import UserError
from pipeline.gan import checkpoint
from pipeline.gan.batches import draws_of
from pipeline.gan.curves import Curves


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
        train.examine(gone_wrong, ten_pairs, train_params, tmp_path)
    text = str(error.value)
    rows = [row for row, _ in draws_of(5, 10, train_params.batch, train_params.seed)]
    assert text.startswith("train: step 6: l1 is nan; set a smaller train.lr")
    assert f"image ids of the batch: {', '.join(map(str, rows))};" in text
    assert f"last good checkpoint: {tmp_path}/step-00000004.safetensors" in text
    assert "\n" not in text
    assert pd.read_csv(tmp_path / "losses.csv").step.tolist() == [5]


def test_what_has_gone_wrong_is_not_kept_as_a_checkpoint(gone_wrong, ten_pairs, train_params, tmp_path):
    trainer = train.Trainer(train_params, torch.device("cpu"))
    with pytest.raises(UserError, match="last good checkpoint: none"):
        train.keep(trainer, gone_wrong, ten_pairs, tmp_path)
    assert checkpoint.kept(tmp_path) == []


def test_weights_that_are_no_numbers_are_not_kept_as_a_checkpoint(ten_pairs, train_params, tmp_path):
    trainer, curves = train.Trainer(train_params, torch.device("cpu")), Curves()
    curves.add({"l1": torch.tensor(0.1)})
    next(trainer.generator.parameters()).data[0] = torch.nan
    with pytest.raises(UserError, match="step 1: generator/.* is not finite; set a smaller train.lr and train.muon"):
        train.keep(trainer, curves, ten_pairs, tmp_path)
    assert checkpoint.kept(tmp_path) == []


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


def damage(folder, how):
    """Spoil the checkpoint of step 1, or what lies beside it."""
    _, tensors, numbers = checkpoint.newest(folder, 1)
    picture = train.picture(folder, 1)
    match how:
        case "no picture":
            picture.unlink()
        case "another picture":
            picture.write_bytes(b"a pictura")
        case "a picture that is a folder":
            picture.unlink()
            picture.mkdir()
        case "a tensor less":
            del tensors["generator_adam/0/exp_avg"]
        case "a tensor more":
            tensors["generator/more"] = torch.zeros(1)
        case "another shape":
            tensors[next(name for name in tensors if name.startswith("discriminator/"))] = torch.zeros(1)
        case "not a number":
            tensors["average/stem.1.bias"][0] = torch.nan
        case "nothing recent":
            del tensors["recent"]
        case "other numbers":
            numbers = [1, 2]
    checkpoint.save(folder, 1, tensors, numbers)


@pytest.mark.parametrize(
    "how",
    [
        "no picture",
        "another picture",
        "a picture that is a folder",
        "a tensor less",
        "a tensor more",
        "another shape",
        "not a number",
        "nothing recent",
        "other numbers",
    ],
)
def test_a_checkpoint_that_does_not_fit_is_named_and_the_one_before_is_used(how, stopped, capsys):
    trainer, folder = stopped
    damage(folder, how)
    assert train.resume(trainer, folder).step == 0
    said = capsys.readouterr()
    assert said.err.startswith(f"warning: {folder}/step-00000001.safetensors is passed over: ")
    assert "continues at step 0" in said.out
    assert len(said.err.splitlines()) == 1


def test_pairs_of_another_size_than_the_parameters_have_are_refused(ten_pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "PAIRS", tmp_path / "pairs")
    assert len(train.opened("train", 32)) == 10
    with pytest.raises(UserError, match="pictures of 32 x 32 px; corrupt.image_size is 64; run dvc repro corrupt"):
        train.opened("train", 64)
