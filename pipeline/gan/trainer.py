"""Generator against discriminator: one alternating update a step (Goodfellow et al. 2014, algorithm 1, k = 1)."""

import copy
import math

import torch
from torch import Tensor

from pipeline.gan.batches import Batch
from pipeline.gan.discriminator import Discriminator
from pipeline.gan.generator import Generator
from pipeline.gan.objective import discriminator_loss, generator_loss, gradient_penalty
from pipeline.params import Train

RAMP = 0.05  # share of the steps in which the step size rises to its peak
PENALTY_EVERY = 8  # steps; lazy regularization, Karras et al. 2020 (StyleGAN2), section 3.1


class Trainer:
    """The networks, their averages and their optimizers.

    Attributes:
        generator: what is trained.
        average: its exponential moving average, which is the model.
    """

    def __init__(self, params: Train, device: torch.device) -> None:
        """Networks and optimizers as `params` has them; the initial weights depend on `params.seed` alone."""
        self.params, self.device = params, device
        torch.manual_seed(params.seed)
        self.generator = Generator(**params.generator.model_dump()).to(device).to(memory_format=torch.channels_last)
        self.discriminator = (
            Discriminator(params.discriminator.channels).to(device).to(memory_format=torch.channels_last)
        )
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.generator_adam = torch.optim.Adam(self.generator.parameters(), betas=(0.9, 0.99))
        self.discriminator_adam = torch.optim.Adam(self.discriminator.parameters(), betas=(0.5, 0.99))

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """Update both networks on one batch; during `params.warmup` only the generator, on L1 alone.

        Returns:
            Scalars by name: `l1` (mean absolute error in the hole, in [0, 1]), and once the discriminator has joined
            `adversarial`, `discriminator`, `score_real` and `score_restored` (mean logits), and `penalty` in the
            steps that have it.
        """
        target, image, mask = (x.to(self.device, non_blocking=True) for x in batch)
        for adam in (self.generator_adam, self.discriminator_adam):
            for group in adam.param_groups:
                group["lr"] = self.params.lr * schedule(step, self.params.steps)
        restored = self.generator(image, mask)
        l1 = l1_in_hole(restored, target, mask)
        if step < self.params.warmup:
            _descend(self.generator_adam, self.params.losses.l1 * l1)
            losses = {"l1": l1}
        else:
            losses = {"l1": l1} | self._adversarial_step(step, target, restored, mask, l1)
        for average, weight in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            average.lerp_(weight, 1 - min(self.params.ema, (1 + step) / (10 + step)))
        return {name: loss.detach() for name, loss in losses.items()}

    def _adversarial_step(
        self, step: int, target: Tensor, restored: Tensor, mask: Tensor, l1: Tensor
    ) -> dict[str, Tensor]:
        objective, weights = self.params.objective, self.params.losses

        score_real = self.discriminator(target, mask)
        score_restored = self.discriminator(restored.detach(), mask)
        judging = discriminator_loss(objective, score_real, score_restored)
        losses = {"discriminator": judging, "score_real": score_real.mean(), "score_restored": score_restored.mean()}
        if weights.penalty and step % PENALTY_EVERY == 0:
            penalized = [target, restored] if objective == "relativistic" else [target]
            penalty = sum(gradient_penalty(lambda x: self.discriminator(x, mask), x) for x in penalized)
            losses["penalty"] = penalty
            judging = judging + PENALTY_EVERY * weights.penalty * penalty
        _descend(self.discriminator_adam, judging)

        self.discriminator.requires_grad_(False)
        score_real_now = self.discriminator(target, mask) if objective == "relativistic" else score_real
        adversarial = generator_loss(objective, score_real_now.detach(), self.discriminator(restored, mask))
        _descend(self.generator_adam, weights.l1 * l1 + weights.adversarial * adversarial)
        self.discriminator.requires_grad_(True)
        return losses | {"adversarial": adversarial}


def l1_in_hole(restored: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error over the hole's pixels of each picture (float N3HW, mask N1HW), then over the pictures."""
    error = ((restored - target).abs() * mask).sum((1, 2, 3))
    return (error / (3 * mask.sum((1, 2, 3)))).mean()


def schedule(step: int, steps: int) -> float:
    """Share of the peak step size at `step`: a linear rise, then half a cosine down to zero."""
    ramp = max(1, round(RAMP * steps))
    if step < ramp:
        return (step + 1) / ramp
    return (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp))) / 2


def _descend(adam: torch.optim.Adam, loss: Tensor) -> None:
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()
