from inspect import signature
from typing import get_args

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from pipeline.params import Train
from pipeline.training.objectives import OBJECTIVES, r1_penalty

REAL, RESTORED = torch.tensor([1.5, -0.5]), torch.tensor([0.3, -2.0])
LOSSES = {  # of REAL and RESTORED, by hand: of the discriminator, of the generator
    "minimax": ((0.2014 + 0.9741 + 0.8544 + 0.1269) / 2, -(0.8544 + 0.1269) / 2),
    "nonsaturating": ((0.2014 + 0.9741 + 0.8544 + 0.1269) / 2, (0.5544 + 2.1269) / 2),
    "hinge": ((0 + 1.5 + 1.3 + 0) / 2, 0.85),
    "lsgan": ((0.25 + 2.25 + 0.09 + 4) / 4, (0.49 + 9) / 4),
    "relativistic": ((0.2633 + 0.2014) / 2, (1.4633 + 1.7014) / 2),
}


def test_the_objectives_are_those_that_the_parameter_can_name():
    assert tuple(OBJECTIVES) == get_args(Train.model_fields["objective"].annotation)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_losses_are_those_of_the_formulas(name):
    discriminator, generator = LOSSES[name]
    assert OBJECTIVES[name].discriminator_loss(REAL, RESTORED).item() == pytest.approx(discriminator, abs=1e-4)
    assert OBJECTIVES[name].generator_loss(REAL, RESTORED).item() == pytest.approx(generator, abs=1e-4)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_the_discriminator_gains_by_telling_apart_and_the_generator_by_passing_for_real(objective):
    low, high = torch.tensor([-0.5]), torch.tensor([0.5])
    assert objective.discriminator_loss(high, low) < objective.discriminator_loss(low, high)
    assert objective.generator_loss(high, high) < objective.generator_loss(high, low)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_only_an_objective_that_says_so_uses_the_scores_of_the_real_pictures_for_the_generator(objective):
    loss, other = objective.generator_loss(REAL, RESTORED), objective.generator_loss(REAL + 1, RESTORED)
    assert (loss != other) == objective.uses_real
    assert list(signature(objective.generator_loss).parameters) == ["real", "restored"]


def test_only_the_relativistic_objective_penalizes_the_restored_pictures():
    assert [name for name, objective in OBJECTIVES.items() if objective.penalize_restored] == ["relativistic"]


def test_minimax_is_binary_cross_entropy_as_published():
    loss = cross_entropy(REAL, torch.ones(2)) + cross_entropy(RESTORED, torch.zeros(2))
    minimax = OBJECTIVES["minimax"]
    assert torch.isclose(minimax.discriminator_loss(REAL, RESTORED), loss)
    assert torch.isclose(minimax.generator_loss(REAL, RESTORED), -cross_entropy(RESTORED, torch.zeros(2)))


def test_nonsaturating_turns_the_labels_for_the_generator():
    loss = OBJECTIVES["nonsaturating"].generator_loss(REAL, RESTORED)
    assert torch.isclose(loss, cross_entropy(RESTORED, torch.ones(2)))


def test_the_penalty_of_a_linear_score_is_half_its_squared_slope():
    slope = torch.rand(3, 4, 4)
    penalty = r1_penalty(lambda image: (image * slope).sum((1, 2, 3)), torch.rand(2, 3, 4, 4))
    assert torch.isclose(penalty, slope.square().sum() / 2)


def test_the_penalty_does_not_grow_with_the_scores_that_a_picture_has():
    image = torch.rand(2, 3, 8, 8)
    one, many = (r1_penalty(lambda x, n=n: x.mean((1, 2, 3)).repeat(n), image).item() for n in (1, 100))
    assert many == pytest.approx(one, rel=1e-5)
