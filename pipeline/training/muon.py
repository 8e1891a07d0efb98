"""Muon: momentum whose every step is made orthogonal (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

PyTorch's own takes matrices alone, in bfloat16; a convolution's weight is one matrix here, a row an output channel.
"""

import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)  # of the post: steepest at zero, so that five iterations are enough


class Muon(torch.optim.Optimizer):
    """For parameters of two dimensions or more.

    Args:
        parameters: what to optimize.
        lr: learning rate, the spectral norm of an update of a square matrix.
    """

    def __init__(self, parameters: list[torch.nn.Parameter], lr: float) -> None:
        super().__init__([{"params": parameters}], {"lr": lr})  # in a group, there may be none

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # there is nothing to evaluate again
        """Update the parameters, which must all have gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                momentum.lerp_(parameter.grad, 1 - MOMENTUM)
                nesterov = parameter.grad.lerp(momentum, MOMENTUM)
                matrix = nesterov.flatten(1)
                rows, columns = matrix.shape
                update = orthogonalize(matrix) * max(1.0, rows / columns) ** 0.5
                parameter.sub_(update.view_as(nesterov), alpha=group["lr"])


def orthogonalize(matrix: Tensor) -> Tensor:
    """The matrix (float RC) with its singular values brought near to 1, into about 0.7 to 1.2 (Newton-Schulz).

    The iteration is x <- (a + b g + c g g) x with g = x x', where a prime transposes. All its factors are polynomials
    of the first g, so they are multiplied among themselves, small and square, and with x only once.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    a, b, c = QUINTIC
    gram = x @ x.T
    one = torch.eye(len(gram), dtype=x.dtype, device=x.device)
    product = one
    for _ in range(ITERATIONS):
        factor = a * one + b * gram + c * gram @ gram
        product = factor @ product
        gram = factor @ gram @ factor
    x = product @ x
    return x.T if tall else x
