import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.datasets import pairs
from pipeline.datasets.pairs import Pair, Pairs
from pipeline.metrics.image_quality import psnr
from pipeline.params import Train
from pipeline.training.batches import load_unpaired, training_batches
from pipeline.training.tasks import TRAINING_TASKS
from pipeline.training.trainer import Trainer
from pipeline.training.translating import TEMPERATURE, attempt, cross_entropy, patch_nce, validate

CPU = torch.device("cpu")
BLUE = np.array([0.2, 0.3, 1.0])


def discs(number: int) -> np.ndarray:
    """Bright discs on dark ground, grey; uint8 HWC."""
    rng = np.random.default_rng(number)
    down, across = np.mgrid[:32, :32]
    picture = np.full((32, 32, 3), rng.integers(20, 60), np.uint8)
    for _ in range(4):
        y, x, radius = rng.integers(4, 28, 3)
        picture[(down - y) ** 2 + (across - x) ** 2 < radius**2 / 4] = rng.integers(120, 250)
    return picture


def in_blue(picture: np.ndarray) -> np.ndarray:
    return (picture * BLUE).round().astype(np.uint8)


def write(folder, split: str, rows: list[tuple[np.ndarray, np.ndarray]], label: str) -> Pairs:
    def made():
        for number, (source, target) in enumerate(rows):
            encoded = map(pairs.encode, (target, source, np.full((32, 32), 255, np.uint8)))
            yield Pair(number, 0, label, number, 1.0, np.nan, *encoded)

    pairs.write(folder, split, made())
    return Pairs(folder, split)


@pytest.fixture
def unpaired(tmp_path) -> Pairs:
    """Grey pictures, and blue ones of other discs."""
    return write(tmp_path / "pairs", "train", [(discs(n), in_blue(discs(n + 100))) for n in range(8)], "painting")


@pytest.fixture
def truth(tmp_path) -> Pairs:
    """Grey pictures, and the same in blue."""
    return write(tmp_path / "pairs", "val", [(discs(n), in_blue(discs(n))) for n in range(200, 204)], "painting")


@pytest.fixture
def translator_params(train_params) -> Train:
    return train_params.model_copy(
        update={
            "generator": train_params.generator.model_copy(update={"design": "translator"}),
            "discriminator": train_params.discriminator.model_copy(update={"design": "patches", "channels": 8}),
            "losses": train_params.losses.model_copy(update={"adversarial": 1.0, "penalty": 0.0}),
            "objective": "lsgan",
            "warmup": 0,
            "muon_lr": 0.0,
        }
    )


def test_the_two_pictures_of_a_batch_are_any_of_their_domains(unpaired):
    sources, targets = load_unpaired(unpaired, 16, [(row % 8, row) for row in range(160)])
    assert sources.shape == targets.shape == (160, 16, 16, 3)
    assert (sources[..., 0] == sources[..., 2]).all()
    assert targets[..., 2].astype(int).sum() > 3 * targets[..., 0].astype(int).sum()
    whole = load_unpaired(unpaired, 0, [(0, seed) for seed in range(40)])[1]
    assert len({tuple(np.unique(target[..., 2])) for target in whole}) > 4  # those of other rows too


def test_batches_go_on_where_they_stopped(unpaired, translator_params):
    whole = list(training_batches(unpaired, translator_params, range(4)))
    resumed = list(training_batches(unpaired, translator_params, range(2, 4)))
    for once, again in zip(whole[2:], resumed, strict=True):
        assert len(once) == 2 and all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def test_cross_entropy_is_that_of_the_paper():
    asked, known = (functional.normalize(torch.rand(2, 5, 3), dim=-1) for _ in range(2))
    for picture, error in enumerate(cross_entropy(asked, known)):
        likeness = (asked[picture] @ known[picture].T / TEMPERATURE).exp()
        assert error.item() == pytest.approx(-(likeness.diagonal() / likeness.sum(1)).log().mean().item(), rel=1e-4)


def test_a_patch_is_known_by_its_place(unpaired, translator_params):
    translator = Trainer(translator_params, CPU).generator
    pictures = torch.rand(3, 3, 32, 32)
    same, moved = patch_nce(translator, pictures, pictures), patch_nce(translator, pictures, pictures.roll(8, -1))
    assert same.shape == (3,) and (same < moved).all()


def test_what_was_given_gets_no_gradient(translator_params):
    translator = Trainer(translator_params, CPU).generator
    given, made = (torch.rand(2, 3, 16, 16, requires_grad=True) for _ in range(2))
    patch_nce(translator, given, made).sum().backward()
    assert given.grad is None and made.grad.abs().sum() > 0


def test_without_identity_the_second_domain_is_not_translated(unpaired, translator_params):
    translator = Trainer(translator_params, CPU).generator
    batch = next(training_batches(unpaired, translator_params, range(1)))
    seen = []
    translator.register_forward_hook(lambda module, given, made: seen.append(len(given[0])))
    torch.manual_seed(0)
    both = attempt(translator, batch, 1.0)
    torch.manual_seed(0)
    twice = attempt(translator, batch, 2.0)
    alone = attempt(translator, batch, 0.0)
    assert seen == [8, 8, 4]
    assert alone.loss == alone.shown["nce"] and both.loss > both.shown["nce"]
    assert (twice.loss - both.loss).item() == pytest.approx((both.loss - both.shown["nce"]).item(), rel=1e-4)
    assert torch.equal(both.real[0], batch[1]) and both.made[0].shape == batch[0].shape


def test_a_translator_learns_a_colour_that_it_was_never_shown_with_its_picture(unpaired, truth, translator_params):
    params = translator_params.model_copy(update={"steps": 150, "batch": 4, "lr": 0.003, "ema": 0.9})
    params = params.model_copy(update={"discriminator": params.discriminator.model_copy(update={"lr": 0.003})})
    trainer = Trainer(params, CPU)
    for step, batch in enumerate(training_batches(unpaired, params, range(150))):
        trainer.step(step, batch)
    validated = validate(trainer.ema, truth, range(4))
    identity = [psnr(truth.stored(row)[None], truth.target(row)[None])[0] for row in range(4)]
    assert (validated.scores > np.array(identity) + 3).all()
    for row, (source, made, target) in enumerate(validated.pictures):
        assert np.array_equal(source, truth.stored(row)) and np.array_equal(target, truth.target(row))
        assert validated.scores[row] == pytest.approx(psnr(made[None], target[None])[0])


def test_where_no_truth_is_known_the_score_is_of_what_is_kept(tmp_path, translator_params):
    apart = write(tmp_path / "apart", "val", [(discs(n), in_blue(discs(n + 9))) for n in range(2)], "folders")
    validated = validate(Trainer(translator_params, CPU).ema, apart, range(2))
    for (source, made, _), score in zip(validated.pictures, validated.scores, strict=True):
        assert score == pytest.approx(psnr(made[None], source[None])[0])


def test_a_training_goes_on_from_its_state_bit_for_bit(unpaired, translator_params):
    batches = list(training_batches(unpaired, translator_params, range(6)))
    whole, halted = Trainer(translator_params, CPU), Trainer(translator_params, CPU)
    for step, batch in enumerate(batches):
        if step == 3:
            saved = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
        whole.step(step, batch)
    torch.manual_seed(99)
    halted.load_state_dict(saved)
    for step in (3, 4, 5):
        halted.step(step, batches[step])
    ours, theirs = whole.state_dict(), halted.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    layout = {name: (tensor.shape, tensor.dtype) for name, tensor in ours.items()}
    assert layout == whole.layout(6)


def test_the_projections_are_trained_by_adam(translator_params):
    trainer = Trainer(translator_params.model_copy(update={"muon_lr": 0.002}), CPU)
    with_muon = {id(each) for each in trainer.generator_muon.param_groups[0]["params"]}
    assert with_muon and not with_muon & {id(each) for each in trainer.generator.projections.parameters()}
    assert TRAINING_TASKS["translate"].weighs == ("identity",)
