import pytest
import torch

from pipeline.training.muon import Muon


@pytest.mark.parametrize("shape", [(8, 8), (5, 40), (40, 5), (6, 3, 3, 3)])
def test_a_step_of_muon_is_about_orthogonal(shape):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(shape))
    weight.grad = torch.randn(shape)
    Muon([weight], lr=1.0).step()
    rows, columns = weight.flatten(1).shape
    strengths = torch.linalg.svdvals(weight.detach().flatten(1)) / max(1, rows / columns) ** 0.5
    assert strengths.min() > 0.5
    assert strengths.max() < 1.3
