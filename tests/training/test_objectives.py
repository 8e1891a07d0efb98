import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from pipeline.training.objectives import discriminator_loss, generator_loss, gradient_penalty

OBJECTIVES = ["minimax", "nonsaturating", "hinge", "lsgan", "relativistic"]
REAL, RESTORED = torch.tensor([1.5, -0.5]), torch.tensor([0.3, -2.0])


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_discriminator_gains_by_telling_apart_and_the_generator_by_passing_for_real(objective):
    low, high = torch.tensor([-0.5]), torch.tensor([0.5])
    assert discriminator_loss(objective, high, low) < discriminator_loss(objective, low, high)
    assert generator_loss(objective, high, high) < generator_loss(objective, high, low)


def test_minimax_is_binary_cross_entropy_as_published():
    loss = cross_entropy(REAL, torch.ones(2)) + cross_entropy(RESTORED, torch.zeros(2))
    assert torch.isclose(discriminator_loss("minimax", REAL, RESTORED), loss)
    assert torch.isclose(generator_loss("minimax", REAL, RESTORED), -cross_entropy(RESTORED, torch.zeros(2)))


def test_nonsaturating_turns_the_labels_for_the_generator():
    assert torch.isclose(generator_loss("nonsaturating", REAL, RESTORED), cross_entropy(RESTORED, torch.ones(2)))


@pytest.mark.parametrize(
    ("objective", "discriminator", "generator"),
    [("hinge", (0 + 1.5 + 1.3 + 0) / 2, 0.85), ("lsgan", (0.25 + 2.25 + 0.09 + 4) / 4, (0.49 + 9) / 4)],
)
def test_the_others_by_hand(objective, discriminator, generator):
    assert torch.isclose(discriminator_loss(objective, REAL, RESTORED), torch.tensor(discriminator))
    assert torch.isclose(generator_loss(objective, REAL, RESTORED), torch.tensor(generator))


def test_the_penalty_of_a_linear_score_is_half_its_squared_slope():
    slope = torch.rand(3, 4, 4)
    penalty = gradient_penalty(lambda image: (image * slope).sum((1, 2, 3)), torch.rand(2, 3, 4, 4))
    assert torch.isclose(penalty, slope.square().sum() / 2)
