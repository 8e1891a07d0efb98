import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from pipeline import train
from pipeline.networks import weights
from pipeline.params import Params, load
from pipeline.runtime.errors import UserError
from pipeline.tracking.live_run import Untracked
from pipeline.training.run import TrainingRun
from pipeline.training.trainer import Trainer
from tests.clone import ROOT

CPU = torch.device("cpu")


def test_pairs_of_another_size_than_the_parameters_have_are_refused(ten_pairs):
    train.check_side(ten_pairs, 32)
    with pytest.raises(UserError, match="pictures of 32 x 32 px; corrupt.image_size is 64; run dvc repro corrupt"):
        train.check_side(ten_pairs, 64)


@pytest.fixture
def ended(train_params, ten_pairs, tmp_path, monkeypatch) -> tuple[TrainingRun, Params]:
    """A training of six steps whose outs are written, in a folder of its own, and its parameters."""
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "dvc.lock"):
        shutil.copy(ROOT / name, tmp_path)
    Path("training").mkdir()
    params = load().model_copy(update={"train": train_params.model_copy(update={"validate_every": 3, "samples": 2})})
    run = TrainingRun(Trainer(params.train, CPU), ten_pairs, ten_pairs, Path("training"), Untracked())
    run.fit()
    train.write_outs(run, params)
    return run, params


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    state = second.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in first.state_dict().items())


def test_the_model_is_the_averaged_generator_and_says_what_it_was_trained_on(ended):
    run, _ = ended
    made = weights.load(Path("data/model"), CPU)
    assert same(made, run.trainer.ema) and not same(made, run.trainer.generator)
    assert weights.facts(Path("data/model"))["trained_on"].keys() == {"data/coco", "data/pairs"}


def test_the_numbers_of_a_training_are_the_ends_of_its_curve(ended):
    scores = pd.read_csv("metrics/validation.csv")
    assert scores.step.tolist() == [0, 3, 6]
    assert scores.psnr.nunique() == 3
    numbers = json.loads(Path("metrics/train.json").read_text())
    first, _, last = scores.psnr
    assert numbers == {"val_psnr": pytest.approx(last), "first_val_psnr": pytest.approx(first)}


def test_a_training_starts_from_the_model_that_the_parameters_name(ended):
    run, params = ended
    trainer = train.build_trainer(params.train.model_copy(update={"init": "data/model"}), CPU)
    assert same(trainer.generator, run.trainer.ema) and same(trainer.ema, run.trainer.ema)
    assert not same(train.build_trainer(params.train, CPU).generator, run.trainer.ema)
