import pytest
import torch

from pipeline.gan.batches import training_batches
from pipeline.gan.trainer import Trainer, schedule
from tests.gan.test_objective import OBJECTIVES

CPU = torch.device("cpu")


def trained(params, pairs):
    trainer = Trainer(params, CPU)
    batches = training_batches(pairs, params.batch, params.seed, range(params.steps))
    losses = [trainer.step(step, batch) for step, batch in enumerate(batches)]
    return trainer, losses


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_updates_both_networks(objective, train_params, ten_pairs):
    params = train_params.model_copy(update={"objective": objective})
    before = Trainer(params, CPU)
    after, losses = trained(params, ten_pairs)
    for network in ("generator", "discriminator"):
        pairs = zip(getattr(before, network).parameters(), getattr(after, network).parameters(), strict=True)
        assert any(not torch.equal(old, new) for old, new in pairs)
    warming_up = {"l1", "contrast", "generator_gradient"}
    assert set(losses[1]) == warming_up
    joined = {"adversarial", "discriminator", "score_real", "score_restored", "discriminator_gradient"}
    assert warming_up | joined <= set(losses[2])
    assert all(value.isfinite() for point in losses for value in point.values())


def test_training_lowers_the_error_below_the_priors(train_params, ten_pairs):
    params = train_params.model_copy(update={"steps": 120, "warmup": 60, "ema": 0.9, "lr": 3e-3})
    _, losses = trained(params, ten_pairs)
    assert sum(point["l1"] for point in losses[-5:]) < 0.9 * sum(point["l1"] for point in losses[:5])


def test_the_same_seed_gives_the_same_weights(train_params, ten_pairs):
    first, second = (trained(train_params, ten_pairs)[0].average.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_average_lags_behind_the_generator(train_params, ten_pairs):
    trainer, _ = trained(train_params.model_copy(update={"ema": 0.9}), ten_pairs)
    bias, start = "stem.1.bias", Trainer(train_params, CPU).generator.state_dict()
    moved = (trainer.generator.state_dict()[bias] - start[bias]).abs().sum()
    averaged = (trainer.average.state_dict()[bias] - start[bias]).abs().sum()
    assert 0 < averaged < moved


def test_without_decay_the_average_is_the_generator(train_params, ten_pairs):
    trainer, _ = trained(train_params.model_copy(update={"ema": 0.0}), ten_pairs)
    pairs = zip(trainer.average.parameters(), trainer.generator.parameters(), strict=True)
    assert all(torch.allclose(average, weight) for average, weight in pairs)


def test_the_step_size_rises_and_falls_to_nothing():
    sizes = [schedule("cosine", step, 100) for step in range(100)]
    assert max(sizes) == 1
    assert sizes[0] < 0.25
    assert sizes[-1] < 0.01


def test_a_constant_step_size_rises_and_stays_whatever_the_number_of_steps():
    sizes = [schedule("constant", step, 1000) for step in range(300)]
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.25
    assert sizes[150:] == [1] * 150
    assert sizes == [schedule("constant", step, 300) for step in range(300)]


def test_clipping_bounds_the_gradient_and_the_norm_before_it_is_told(train_params, ten_pairs):
    clipped, losses = trained(train_params.model_copy(update={"clip": 1e-3}), ten_pairs)
    assert losses[-1]["generator_gradient"] > 1e-3
    for network in (clipped.generator, clipped.discriminator):
        norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in network.parameters()])
        assert norm == pytest.approx(1e-3, rel=1e-3)


def test_every_pair_is_drawn_once_an_epoch(ten_pairs):
    batches = list(training_batches(ten_pairs, 5, 0, range(2)))
    targets = torch.cat([target for target, _, _ in batches])
    assert len({tuple(sorted(picture.flatten().tolist())) for picture in targets}) == 10


def test_a_batch_depends_on_its_step_alone(ten_pairs):
    whole = list(training_batches(ten_pairs, 4, 7, range(6)))
    resumed = list(training_batches(ten_pairs, 4, 7, range(3, 6)))
    for expected, batch in zip(whole[3:], resumed, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(expected, batch, strict=True))
