"""The adversarial objectives, as published. Scores are logits, float N; every loss is a scalar to minimize."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Objective:
    """What the two networks minimize, given the scores of the real and of the restored pictures, in this order.

    Attributes:
        discriminator_loss: of the discriminator.
        generator_loss: of the generator, with the scores of the discriminator after its update.
        uses_real: whether the generator's loss depends on the scores of the real pictures; where not, it gets none of
            them, which saves a pass of the discriminator.
        penalize_restored: whether the gradient penalty is taken on the restored pictures too, as R2.
    """

    discriminator_loss: Callable[[Tensor, Tensor], Tensor]
    generator_loss: Callable[[Tensor, Tensor], Tensor]
    uses_real: bool = False
    penalize_restored: bool = False


def minimax_discriminator_loss(real: Tensor, restored: Tensor) -> Tensor:
    """-log D(real) - log(1 - D(restored)), D the sigmoid of the score: Goodfellow et al. 2014, equation 1."""
    return (F.softplus(-real) + F.softplus(restored)).mean()


def minimax_generator_loss(real: Tensor, restored: Tensor) -> Tensor:
    """log(1 - D(restored)): Goodfellow et al. 2014, equation 1."""
    return (-F.softplus(restored)).mean()


def nonsaturating_generator_loss(real: Tensor, restored: Tensor) -> Tensor:
    """-log D(restored): Goodfellow et al. 2014, section 3; the discriminator's loss is that of minimax."""
    return F.softplus(-restored).mean()


def hinge_discriminator_loss(real: Tensor, restored: Tensor) -> Tensor:
    """max(0, 1 - real) + max(0, 1 + restored): Lim and Ye 2017, Geometric GAN; Miyato et al. 2018, equation 16."""
    return (F.relu(1 - real) + F.relu(1 + restored)).mean()


def hinge_generator_loss(real: Tensor, restored: Tensor) -> Tensor:
    """-restored: Miyato et al. 2018, equation 17."""
    return (-restored).mean()


def lsgan_discriminator_loss(real: Tensor, restored: Tensor) -> Tensor:
    """((real - 1)^2 + restored^2) / 2: Mao et al. 2017, equation 9 (a = 0, b = c = 1)."""
    return (((real - 1) ** 2 + restored**2) / 2).mean()


def lsgan_generator_loss(real: Tensor, restored: Tensor) -> Tensor:
    """(restored - 1)^2 / 2: Mao et al. 2017, equation 9."""
    return ((restored - 1) ** 2 / 2).mean()


def relativistic_discriminator_loss(real: Tensor, restored: Tensor) -> Tensor:
    """softplus(restored - real), in pairs: Jolicoeur-Martineau 2018; Huang et al. 2024 (R3GAN), equation 2."""
    return F.softplus(restored - real).mean()


def relativistic_generator_loss(real: Tensor, restored: Tensor) -> Tensor:
    """softplus(real - restored), in pairs: Jolicoeur-Martineau 2018; Huang et al. 2024 (R3GAN), equation 2."""
    return F.softplus(real - restored).mean()


OBJECTIVES: dict[str, Objective] = {
    "minimax": Objective(minimax_discriminator_loss, minimax_generator_loss),
    "nonsaturating": Objective(minimax_discriminator_loss, nonsaturating_generator_loss),
    "hinge": Objective(hinge_discriminator_loss, hinge_generator_loss),
    "lsgan": Objective(lsgan_discriminator_loss, lsgan_generator_loss),
    "relativistic": Objective(
        relativistic_discriminator_loss, relativistic_generator_loss, uses_real=True, penalize_restored=True
    ),
}


def r1_penalty(score: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Half the squared norm of the score's gradient, mean over the pictures; times gamma it is R1 on real pictures.

    Where a picture has many scores, as from a projected discriminator, their mean is its score.

    R1: Mescheder et al. 2018, equation 9; R2, on restored pictures: equation 10.
    """
    image = image.detach().requires_grad_()
    scores = score(image)
    (gradient,) = torch.autograd.grad(scores.sum() * (len(image) / len(scores)), image, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean() / 2
