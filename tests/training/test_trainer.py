import pytest
import torch

from pipeline.networks.pretrained import PRETRAINED
from pipeline.training.batches import training_batches
from pipeline.training.objectives import OBJECTIVES, r1_penalty
from pipeline.training.trainer import Trainer, feature_matching_loss, shift

CPU = torch.device("cpu")


def trained(params, pairs):
    trainer = Trainer(params, CPU)
    batches = training_batches(pairs, params, range(params.steps))
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


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_both_networks_minimize_the_losses_of_the_objective(objective, train_params, ten_pairs):
    params = train_params.model_copy(update={"objective": objective, "warmup": 0})
    batch = target, image, mask = next(training_batches(ten_pairs, params, range(1)))
    before, after = Trainer(params, CPU), Trainer(params, CPU)
    losses = after.step(1, batch)  # without the penalty
    restored = before.generator(image, mask)
    real, fake = (before.score(before.embed(picture), mask) for picture in (target, restored))
    assert losses["score_real"].item() == pytest.approx(real.mean().item(), rel=1e-5)
    assert losses["score_restored"].item() == pytest.approx(fake.mean().item(), rel=1e-5)
    expected = OBJECTIVES[objective].discriminator_loss(real, fake)
    assert losses["discriminator"].item() == pytest.approx(expected.item(), rel=1e-5)
    real, fake = (after.score(after.embed(picture), mask) for picture in (target, restored))  # after its update
    expected = OBJECTIVES[objective].generator_loss(real, fake)
    assert losses["adversarial"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_penalty_is_r1_with_r2_where_the_objective_asks_for_it_every_eighth_step(
    objective, train_params, ten_pairs
):
    params = train_params.model_copy(update={"objective": objective, "warmup": 0, "steps": 9})
    batch = target, image, mask = next(training_batches(ten_pairs, params, range(1)))
    start = Trainer(params, CPU)
    penalized = [target, start.generator(image, mask)] if OBJECTIVES[objective].penalize_restored else [target]
    expected = sum(r1_penalty(lambda x: start.score(start.embed(x), mask), pictures) for pictures in penalized)
    trainer = Trainer(params, CPU)
    losses = [trainer.step(step, batch) for step in range(9)]
    assert [step for step in range(9) if "penalty" in losses[step]] == [0, 8]
    assert losses[0]["penalty"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_penalty_holds_the_discriminator_back(train_params, ten_pairs):
    batch = next(training_batches(ten_pairs, train_params, range(1)))
    norms = []
    for penalty in (0.0, 1e6):
        losses = train_params.losses.model_copy(update={"penalty": penalty})
        trainer = Trainer(train_params.model_copy(update={"losses": losses, "warmup": 0}), CPU)
        norms.append(trainer.step(0, batch)["discriminator_gradient"])
    assert norms[1] > 100 * norms[0]


def test_the_generator_learns_from_the_discriminator_as_strongly_as_it_is_told(train_params, ten_pairs):
    batch = next(training_batches(ten_pairs, train_params, range(1)))
    norms = []
    for weight in (1e-9, 1e3):
        losses = train_params.losses.model_copy(update={"adversarial": weight})
        trainer = Trainer(train_params.model_copy(update={"losses": losses, "warmup": 0}), CPU)
        norms.append(trainer.step(0, batch)["generator_gradient"])
    assert norms[1] > 10 * norms[0]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_generators_loss_leaves_the_discriminator_without_gradient(objective, train_params, ten_pairs):
    trainer = Trainer(train_params.model_copy(update={"objective": objective}), CPU)
    target, image, mask = next(training_batches(ten_pairs, train_params, range(1)))
    real, restored = trainer.embed(target), trainer.embed(trainer.generator(image, mask))
    trainer.generator_loss((real, mask), (restored, mask)).backward()
    assert all(parameter.grad is None for parameter in trainer.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in trainer.discriminator.parameters())
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in trainer.generator.parameters())


def test_the_generator_learns_from_l1_as_strongly_as_it_is_told(train_params, ten_pairs):
    batch = next(training_batches(ten_pairs, train_params, range(1)))
    norms = []
    for weight in (1.0, 5.0):
        losses = train_params.losses.model_copy(update={"l1": weight})
        trainer = Trainer(train_params.model_copy(update={"losses": losses}), CPU)
        norms.append(trainer.step(0, batch)["generator_gradient"].item())
    assert norms[1] == pytest.approx(5 * norms[0], rel=1e-4)


def test_the_average_takes_nine_tenths_of_the_generator_at_the_first_step(train_params):
    trainer = Trainer(train_params, CPU)
    for parameter in trainer.ema.parameters():
        parameter.data.fill_(0.0)
    for parameter in trainer.generator.parameters():
        parameter.data.fill_(1.0)
    trainer.update_ema(0)
    assert all(torch.allclose(parameter, torch.tensor(0.9)) for parameter in trainer.ema.parameters())


def test_training_lowers_the_error_below_the_priors(train_params, ten_pairs):
    params = train_params.model_copy(update={"steps": 120, "warmup": 60, "ema": 0.9, "lr": 3e-3})
    _, losses = trained(params, ten_pairs)
    assert sum(point["l1"] for point in losses[-5:]) < 0.9 * sum(point["l1"] for point in losses[:5])


def test_the_same_seed_gives_the_same_weights(train_params, ten_pairs):
    first, second = (trained(train_params, ten_pairs)[0].ema.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_seed_gives_other_weights(train_params):
    first, second = (Trainer(train_params.model_copy(update={"seed": seed}), CPU) for seed in (0, 1))
    for network in ("generator", "discriminator"):
        pairs = zip(getattr(first, network).parameters(), getattr(second, network).parameters(), strict=True)
        assert any(not torch.equal(one, other) for one, other in pairs)


def test_the_average_has_the_generators_counts_of_batch_normalization(train_params, ten_pairs):
    textbook = train_params.generator.model_copy(update={"design": "textbook"})
    trainer, _ = trained(train_params.model_copy(update={"generator": textbook}), ten_pairs)
    buffers = dict(trainer.generator.named_buffers())
    assert buffers
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in trainer.ema.named_buffers())


def test_the_average_lags_behind_the_generator(train_params, ten_pairs):
    trainer, _ = trained(train_params.model_copy(update={"ema": 0.9}), ten_pairs)
    bias, start = "stem.1.bias", Trainer(train_params, CPU).generator.state_dict()
    moved = (trainer.generator.state_dict()[bias] - start[bias]).abs().sum()
    averaged = (trainer.ema.state_dict()[bias] - start[bias]).abs().sum()
    assert 0 < averaged < moved


def test_without_decay_the_average_is_the_generator(train_params, ten_pairs):
    trainer, _ = trained(train_params.model_copy(update={"ema": 0.0}), ten_pairs)
    pairs = zip(trainer.ema.parameters(), trainer.generator.parameters(), strict=True)
    assert all(torch.allclose(average, weight) for average, weight in pairs)


def test_clipping_bounds_the_gradient_and_the_norm_before_it_is_told(train_params, ten_pairs):
    clipped, losses = trained(train_params.model_copy(update={"clip": 1e-3}), ten_pairs)
    assert losses[-1]["generator_gradient"] > 1e-3
    for network in (clipped.generator, clipped.discriminator):
        norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in network.parameters()])
        assert norm == pytest.approx(1e-3, rel=1e-3)


def test_muon_is_for_the_inner_layers_alone(train_params):
    trainer = Trainer(train_params, CPU)
    weights = trainer.generator.state_dict(keep_vars=True)
    chosen = set(map(id, trainer.generator_muon.param_groups[0]["params"]))
    inner = [name for name in weights if weights[name].dim() > 1 and not name.startswith(("stem", "head", "fine"))]
    assert chosen == {id(weights[name]) for name in inner}
    assert not Trainer(train_params.model_copy(update={"muon_lr": 0.0}), CPU).generator_muon.param_groups[0]["params"]


def test_the_discriminators_schedule_begins_when_it_joins(train_params, ten_pairs):
    trainer, _ = trained(train_params.model_copy(update={"steps": 4, "warmup": 3}), ten_pairs)
    assert trainer.discriminator_adam.param_groups[0]["lr"] == pytest.approx(train_params.discriminator.lr)
    assert trainer.generator_adam.param_groups[0]["lr"] < 0.3 * train_params.lr


def test_without_an_adversarial_loss_there_is_no_discriminator(train_params, ten_pairs):
    losses = train_params.losses.model_copy(update={"adversarial": 0.0})
    params = train_params.model_copy(update={"losses": losses})
    _, points = trained(params, ten_pairs)
    assert set(points[-1]) == {"l1", "contrast", "generator_gradient"}


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bfloat16"},
        {"generator": {"design": "textbook"}},
        {"precision": "bfloat16", "generator": {"design": "textbook"}},
    ],
)
def test_other_precisions_and_designs_train(train_params, ten_pairs, changes):
    if "generator" in changes:
        changes = changes | {
            "generator": train_params.generator.model_copy(update=changes["generator"]),
            "discriminator": train_params.discriminator.model_copy(update={"norm": "batch"}),
            "objective": "minimax",
        }
    trainer, points = trained(train_params.model_copy(update=changes), ten_pairs)
    assert all(value.isfinite() for point in points for value in point.values())
    assert all(tensor.isfinite().all() for tensor in trainer.ema.state_dict().values())


@pytest.mark.parametrize("pixels", [(4, 4), (9, 13)])
def test_a_shift_moves_all_pictures_alike_by_less_than_it_may(pixels):
    torch.manual_seed(0)
    picture, mask = torch.rand(2, 3, *pixels), torch.rand(2, 1, *pixels)
    seen = set()
    for seed in range(100):
        moved, moved_mask = shift(3, seed, 0, picture, mask)
        down, across = (after - before for after, before in zip(moved.shape[2:], pixels, strict=True))
        assert torch.equal(moved[..., down:, across:], picture)
        assert torch.equal(moved_mask[..., down:, across:], mask)
        seen.add((down, across))
    assert seen == {(down, across) for down in range(3) for across in range(3)}


def test_the_shift_of_a_step_is_that_of_its_seed_whatever_was_drawn_before():
    picture = torch.rand(1, 3, 8, 8)
    torch.manual_seed(0)
    before = [shift(8, 5, step, picture)[0] for step in range(9)]
    torch.manual_seed(1)
    after = [shift(8, 5, step, picture)[0] for step in range(9)]
    assert all(map(torch.equal, before, after))
    assert len({tuple(moved.shape) for moved in before}) > 1


def test_features_are_compared_in_the_hole_alone():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4, :4] = 1
    target = [torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 2, 2)]
    restored = [feature.clone() for feature in target]
    restored[0][..., 6:, 6:] = restored[1][..., 1, 1] = 7  # outside
    assert feature_matching_loss(restored, target, mask) == 0
    restored[0][..., :4, :4], restored[1][..., 0, 0] = 1, 3
    assert feature_matching_loss(restored, target, mask) == 2


@pytest.mark.skipif(not PRETRAINED["efficientnet_lite0"].path.exists(), reason="make perceptual brings its weights")
def test_a_projected_discriminator_trains_with_feature_matching(train_params, ten_pairs):
    losses = train_params.losses.model_copy(update={"feature_matching": 1.0, "penalty": 0.0})
    judge = train_params.discriminator.model_copy(update={"design": "projected"})
    params = train_params.model_copy(update={"losses": losses, "discriminator": judge, "objective": "hinge"})
    trainer, points = trained(params, ten_pairs)
    assert points[-1]["feature_matching"] > 0
    assert points[-1]["discriminator_gradient"] > 0
    assert set(trainer.layout(params.steps)) == set(trainer.state_dict())
