import pytest
import torch

from pipeline.training.attempt import contrast
from pipeline.training.curves import LOSSES, Curves
from pipeline.training.diagnosis import CAUSES, CONSTANT_STEPS, WON_STEPS, find_collapse, find_not_finite

WELL = {"l1": 0.1, "contrast": 0.8, "discriminator": 0.7}


def curves_of(*points):
    return Curves(step=points[-1][0], losses=[{"step": step} | values for step, values in points])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["l1", "generator_gradient"])
def test_the_first_step_with_a_number_that_is_not_finite_is_named(name, value):
    curves = Curves(step=20)
    for step in range(21, 31):
        broken = {name: torch.tensor(value)} if step >= 24 else {}
        curves.add({"l1": torch.tensor(0.1), "generator_gradient": torch.tensor(1.0)} | broken)
    step, reason = find_not_finite(curves)
    assert step == 24
    assert reason.startswith(f"{name} is {value}")


@pytest.mark.parametrize(
    ("broken", "named", "remedy"),
    [
        (["generator_gradient"], "generator_gradient", "set a smaller train.lr and train.muon_lr, or train.clip to 1"),
        (["adversarial", "generator_gradient"], "adversarial", "set a smaller train.lr and train.muon_lr"),
        (["adversarial", "score_real", "discriminator"], "score_real", "set a smaller train.discriminator.lr"),
        (["discriminator_gradient", "adversarial"], "discriminator_gradient", "set a smaller train.discriminator.lr"),
        (["l1", "adversarial", "discriminator"], "l1", "set a smaller train.lr and train.muon_lr"),
    ],
)
def test_the_network_that_broke_first_is_the_one_to_slow_down(broken, named, remedy):
    curves = Curves()
    curves.add(dict.fromkeys(LOSSES, torch.tensor(1.0)) | dict.fromkeys(broken, torch.tensor(float("nan"))))
    _, reason = find_not_finite(curves)
    assert reason.startswith(f"{named} is nan; {remedy}")


def test_every_loss_has_a_cause():
    assert set(CAUSES) == set(LOSSES)


def test_finite_numbers_are_well():
    curves = Curves()
    assert find_not_finite(curves) is None
    curves.add({"l1": torch.tensor(0.1)})
    assert find_not_finite(curves) is None


def test_a_discriminator_whose_loss_stays_at_nothing_has_won():
    won = WELL | {"discriminator": 1e-5}
    start = (100, WELL)
    assert find_collapse(curves_of(start, (600, won), (99 + WON_STEPS, won))) is None
    step, reason = find_collapse(curves_of(start, (600, won), (100 + WON_STEPS, won)))
    assert step == 100 + WON_STEPS
    assert reason.startswith("the discriminator has won")
    assert reason.endswith("; raise train.losses.penalty or lower train.discriminator.lr")
    assert find_collapse(curves_of(start, (600, won), (700, WELL), (100 + WON_STEPS, won))) is None


def test_before_the_discriminator_joins_it_cannot_win():
    assert find_collapse(curves_of((WON_STEPS, {"l1": 0.1, "contrast": 0.8}))) is None


def test_a_generator_that_restores_to_one_colour_is_noticed():
    flat = WELL | {"contrast": 0.02}
    assert find_collapse(curves_of((CONSTANT_STEPS - 1, flat))) is None
    _, reason = find_collapse(curves_of((CONSTANT_STEPS, flat)))
    assert reason.startswith("the generator restores everything to one colour")


def test_contrast_is_one_for_a_perfect_match_and_near_nothing_for_a_constant():
    torch.manual_seed(0)
    target, mask = torch.rand(4, 3, 16, 16), (torch.rand(4, 1, 16, 16) < 0.5).float()
    colour = torch.tensor([0.2, 0.5, 0.7])[None, :, None, None].expand_as(target)
    assert contrast(target, target, mask) == 1
    assert contrast(colour, target, mask) < 0.05
    assert contrast(colour, colour, mask) == 1
