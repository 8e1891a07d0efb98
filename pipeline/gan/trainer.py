"""Generator against discriminator: one alternating update a step (Goodfellow et al. 2014, algorithm 1, k = 1)."""

import copy
import math

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from pipeline.gan.batches import Batch
from pipeline.gan.discriminator import Discriminator
from pipeline.gan.generator import Generator
from pipeline.gan.objective import discriminator_loss, generator_loss, gradient_penalty
from pipeline.params import Train

RAMP = 0.05  # share of the steps in which the step size rises to its peak, under the cosine schedule
CONSTANT_RAMP = 100  # the steps it takes under the constant schedule, whatever the length of the training
PENALTY_EVERY = 8  # steps; lazy regularization, Karras et al. 2020 (StyleGAN2), section 3.1
FAINT = 1 / 255  # added to both contrasts, so that flat pictures count as restored well
NETWORKS = ("generator", "discriminator", "average")
ADAMS = ("generator_adam", "discriminator_adam")


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
            Scalars by name: `l1` (mean absolute error in the hole, in [0, 1]), `contrast` and `generator_gradient` (a
            norm, before clipping), and once the discriminator has joined `adversarial`, `discriminator`, `score_real`
            and `score_restored` (mean logits), `discriminator_gradient`, and `penalty` in the steps that have it.
        """
        target, image, mask = (x.to(self.device, non_blocking=True) for x in batch)
        for adam in (self.generator_adam, self.discriminator_adam):
            for group in adam.param_groups:
                group["lr"] = self.params.lr * schedule(self.params.schedule, step, self.params.steps)
        restored = self.generator(image, mask)
        l1 = l1_in_hole(restored, target, mask)
        losses = {"l1": l1, "contrast": contrast(restored.detach(), target, mask)}
        if step < self.params.warmup:
            losses["generator_gradient"] = self._descend(self.generator_adam, self.params.losses.l1 * l1)
        else:
            losses |= self._adversarial_step(step, target, restored, mask, l1)
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
        losses["discriminator_gradient"] = self._descend(self.discriminator_adam, judging)

        self.discriminator.requires_grad_(False)
        score_real_now = self.discriminator(target, mask) if objective == "relativistic" else score_real
        adversarial = generator_loss(objective, score_real_now.detach(), self.discriminator(restored, mask))
        norm = self._descend(self.generator_adam, weights.l1 * l1 + weights.adversarial * adversarial)
        self.discriminator.requires_grad_(True)
        return losses | {"adversarial": adversarial, "generator_gradient": norm}

    def _descend(self, adam: torch.optim.Adam, loss: Tensor) -> Tensor:
        adam.zero_grad(set_to_none=True)
        loss.backward()
        parameters = adam.param_groups[0]["params"]
        norm = get_total_norm([parameter.grad for parameter in parameters])
        if self.params.clip:
            clip_grads_with_norm_(parameters, self.params.clip, norm)
        adam.step()
        return norm

    def state(self) -> dict[str, Tensor]:
        """Everything that the steps change, by name, and the state of torch's random numbers."""
        state = {"rng": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["rng_cuda"] = torch.cuda.get_rng_state(self.device)
        for name in NETWORKS:
            state |= {f"{name}/{key}": tensor for key, tensor in getattr(self, name).state_dict().items()}
        for name in ADAMS:
            for index, moments in getattr(self, name).state_dict()["state"].items():
                state |= {f"{name}/{index}/{key}": tensor for key, tensor in moments.items()}
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go back to a `state` of a trainer with the same parameters, bit for bit and in the same memory format."""
        torch.set_rng_state(state["rng"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["rng_cuda"], self.device)
        for name in NETWORKS:
            getattr(self, name).load_state_dict(_below(name, state))
        for name in ADAMS:
            adam = getattr(self, name)
            for index, parameter in enumerate(adam.param_groups[0]["params"]):
                for key, value in _below(f"{name}/{index}", state).items():
                    like = value if key == "step" else torch.empty_like(parameter)
                    adam.state[parameter][key] = like.copy_(value)


def _below(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}/"): tensor for key, tensor in state.items() if key.startswith(f"{name}/")}


def l1_in_hole(restored: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error over the hole's pixels of each picture (float N3HW, mask N1HW), then over the pictures."""
    error = ((restored - target).abs() * mask).sum((1, 2, 3))
    return (error / (3 * mask.sum((1, 2, 3)))).mean()


def contrast(restored: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Standard deviation of the restored pixels over that of the true ones: about 1, and near 0 for a constant.

    Over the holes of all pictures at once (float N3HW, mask N1HW), a channel, then the mean of the channels.
    """
    return (_deviation(restored, mask) + FAINT) / (_deviation(target, mask) + FAINT)


def _deviation(picture: Tensor, mask: Tensor) -> Tensor:
    mean = (picture * mask).sum((0, 2, 3), keepdim=True) / mask.sum()
    variance = ((picture - mean).square() * mask).sum((0, 2, 3)) / mask.sum()
    return variance.sqrt().mean()


def schedule(kind: str, step: int, steps: int) -> float:
    """Share of the peak step size at `step`: a linear rise, then it stays, or falls to zero as half a cosine.

    Under `constant` it does not depend on `steps`, so a longer training begins as a shorter one did.
    """
    ramp = CONSTANT_RAMP if kind == "constant" else max(1, round(RAMP * steps))
    if step < ramp:
        return (step + 1) / ramp
    return 1.0 if kind == "constant" else (1 + math.cos(math.pi * (step - ramp) / max(1, steps - ramp))) / 2
