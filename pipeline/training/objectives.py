"""The adversarial objectives, as published. Scores are logits, float N; every loss is a scalar to minimize."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def discriminator_loss(objective: str, real: Tensor, restored: Tensor) -> Tensor:
    """What the discriminator minimizes, given its scores of the real and of the restored pictures.

    minimax, nonsaturating: Goodfellow et al. 2014, equation 1, with D = sigmoid(score).
    hinge: Lim and Ye 2017, Geometric GAN; Miyato et al. 2018, equation 16.
    lsgan: Mao et al. 2017, equation 9 (a = 0, b = c = 1).
    relativistic: Jolicoeur-Martineau 2018, relativistic pairing GAN; Huang et al. 2024 (R3GAN), equation 2.
    """
    match objective:
        case "minimax" | "nonsaturating":
            loss = F.softplus(-real) + F.softplus(restored)
        case "hinge":
            loss = F.relu(1 - real) + F.relu(1 + restored)
        case "lsgan":
            loss = ((real - 1) ** 2 + restored**2) / 2
        case "relativistic":
            loss = F.softplus(restored - real)
    return loss.mean()


def generator_loss(objective: str, real: Tensor, restored: Tensor) -> Tensor:
    """What the generator minimizes; only `relativistic` looks at the scores of the real pictures.

    minimax: log(1 - D), Goodfellow et al. 2014, equation 1; nonsaturating: -log D, the same paper, section 3.
    The others: as in `discriminator_loss`.
    """
    match objective:
        case "minimax":
            loss = -F.softplus(restored)
        case "nonsaturating":
            loss = F.softplus(-restored)
        case "hinge":
            loss = -restored
        case "lsgan":
            loss = (restored - 1) ** 2 / 2
        case "relativistic":
            loss = F.softplus(real - restored)
    return loss.mean()


def gradient_penalty(score: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Half the squared norm of the score's gradient, mean over the pictures; times gamma it is R1 on real pictures.

    R1: Mescheder et al. 2018, equation 9; R2, on restored pictures: equation 10.
    """
    image = image.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(score(image).sum(), image, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean() / 2
