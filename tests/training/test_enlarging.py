import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.corruptions import lowres
from pipeline.datasets import pairs
from pipeline.datasets.pairs import Pair, Pairs
from pipeline.metrics.image_quality import psnr
from pipeline.networks.enlarger import FACTORS
from pipeline.params import Train
from pipeline.training.batches import load_shrunk, training_batches
from pipeline.training.enlarging import attempt, validate
from pipeline.training.trainer import Trainer

CPU = torch.device("cpu")


@pytest.fixture
def shrunk_pairs(tmp_path) -> Pairs:
    """Six pictures of hard-edged discs, 48 px, which the bicubic filter blurs."""

    def made():
        for number in range(6):
            rng = np.random.default_rng(number)
            down, across = np.mgrid[:48, :48]
            target = np.full((48, 48, 3), rng.integers(256, size=3), np.uint8)
            for _ in range(6):
                y, x, radius = rng.integers(4, 44, 3)
                target[(down - y) ** 2 + (across - x) ** 2 < radius**2 / 4] = rng.integers(256, size=3)
            factor = FACTORS[number % 3]
            small, mask = lowres.corrupt(target, factor)
            encoded = [pairs.encode(picture) for picture in (target, small, mask.astype(np.uint8) * 255)]
            yield Pair(number, 0, f"lowres_x{factor}", number, 1.0, np.nan, *encoded)

    pairs.write(tmp_path / "shrunk", "train", made())
    return Pairs(tmp_path / "shrunk", "train")


@pytest.fixture
def enlarger_params(train_params) -> Train:
    generator = train_params.generator.model_copy(update={"design": "enlarger", "channels": 16})
    return train_params.model_copy(update={"generator": generator, "crop": 24})


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The mean difference: a picture that is turned and shrunk is rounded elsewhere than one shrunk and turned."""
    return np.abs(one.astype(int) - other).mean()


def test_a_batch_has_each_target_at_every_factor(shrunk_pairs):
    targets, *smaller = load_shrunk(shrunk_pairs, 0, [(row, 0) for row in range(6)])
    assert [each.shape for each in smaller] == [(6, 48 // factor, 48 // factor, 3) for factor in FACTORS]
    for target, *small in zip(targets, *smaller, strict=True):
        for factor, each in zip(FACTORS, small, strict=True):
            assert apart(lowres.corrupt(target, factor)[0], each) < 0.5


def test_a_crop_is_of_the_same_place_at_every_factor(shrunk_pairs):
    samples = [(row % 6, row) for row in range(60)]
    targets, *smaller = load_shrunk(shrunk_pairs, 24, samples)
    for factor, small in zip(FACTORS, smaller, strict=True):
        assert small.shape == (60, 24 // factor, 24 // factor, 3)
        inner = slice(2, -2)  # the border of a crop was shrunk with what lies beyond it
        for target, each in zip(targets, small, strict=True):
            assert apart(lowres.corrupt(target, factor)[0][inner, inner], each[inner, inner]) < 0.5
    corners = {targets[row].tobytes() for row in range(0, 60, 6)}
    assert len(corners) > 3


def test_batches_go_on_where_they_stopped(shrunk_pairs, enlarger_params):
    whole = list(training_batches(shrunk_pairs, enlarger_params, range(4)))
    resumed = list(training_batches(shrunk_pairs, enlarger_params, range(2, 4)))
    for once, again in zip(whole[2:], resumed, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def test_an_enlarger_learns_to_beat_the_filter(shrunk_pairs, enlarger_params):
    params = enlarger_params.model_copy(
        update={"steps": 80, "warmup": 79, "batch": 6, "lr": 0.003, "muon_lr": 0.02, "crop": 0}
    )
    trainer = Trainer(params, CPU)
    for step, batch in enumerate(training_batches(shrunk_pairs, params, range(79))):
        trainer.step(step, batch)
    validated = validate(trainer.ema, shrunk_pairs, range(1, 5))
    assert validated.scores.shape == (4,)
    for row, (filtered, made, target), score in zip(range(1, 5), validated.pictures, validated.scores, strict=True):
        bicubic = Image.fromarray(shrunk_pairs.stored(row)).resize((48, 48), Image.Resampling.BICUBIC)
        assert np.array_equal(filtered, np.asarray(bicubic))
        assert score == pytest.approx(psnr(made[None], target[None])[0])
        assert score > psnr(filtered[None], target[None])[0] + 0.05


def test_the_discriminator_is_shown_every_factor(shrunk_pairs, enlarger_params):
    trainer = Trainer(enlarger_params.model_copy(update={"warmup": 0}), CPU)
    batch = next(training_batches(shrunk_pairs, enlarger_params, range(1)))
    made = attempt(trainer.generator, batch)
    count = len(FACTORS) * enlarger_params.batch
    assert made.real[0].shape == made.made[0].shape == (count, 3, 24, 24)
    assert made.real[1].shape == (count, 1, 24, 24) and made.real[1].min() == 1
    assert made.shown["l1"].item() == pytest.approx((made.made[0] - made.real[0]).abs().mean().item())
    losses = trainer.step(0, batch)
    assert {"adversarial", "discriminator"} <= losses.keys()
    assert all(value.isfinite() for value in losses.values())
