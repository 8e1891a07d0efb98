import pytest
import torch

from pipeline.training.restoring import l1_in_hole, mean_of_balanced


def test_l1_is_the_error_in_the_hole_whose_size_does_not_weigh():
    restored, mask = torch.ones(2, 3, 8, 8), torch.zeros(2, 1, 8, 8)
    mask[0, :, :4], mask[1, :, 0, 0] = 1, 1
    restored[0, :, :4], restored[1, :, 0, 0] = 0.2, 0.4
    assert l1_in_hole(restored, torch.zeros(2, 3, 8, 8), mask).tolist() == pytest.approx([0.2, 0.4])


def test_a_pair_with_a_small_error_has_as_much_say_as_one_with_a_large():
    errors = torch.tensor([0.2, 0.01], requires_grad=True)
    balanced = mean_of_balanced(errors)
    balanced.backward()
    large, small = errors.grad.tolist()
    assert 0.2 * large == pytest.approx(0.01 * small, rel=0.4)  # an error near 1 / 255 weighs a little less
    assert large + small == pytest.approx(1)
    assert 0.01 < balanced.item() < 0.2
