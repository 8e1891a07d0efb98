"""Generator against discriminator: one alternating update a step (Goodfellow et al. 2014, algorithm 1, k = 1)."""

import copy
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from pipeline.networks.discriminators import DISCRIMINATORS
from pipeline.networks.registry import GENERATORS, build_generator
from pipeline.params import Train
from pipeline.training import distributed
from pipeline.training.attempt import Judged
from pipeline.training.batches import Batch
from pipeline.training.muon import Muon
from pipeline.training.objectives import OBJECTIVES, r1_penalty
from pipeline.training.schedule import share_of_peak
from pipeline.training.tasks import task_of

PENALTY_EVERY = 8  # steps; lazy regularization, Karras et al. 2020 (StyleGAN2), section 3.1
NETWORKS = ("generator", "discriminator", "ema")
Network = TypeVar("Network", bound=nn.Module)
Embedded = tuple[list[Tensor], Tensor]
"""What the discriminator scores: pictures as its `embed` gives them, and their masks."""
OPTIMIZERS = ("generator_muon", "generator_adam", "discriminator_adam")


class Trainer:
    """The two networks, the average of the generator, and the optimizers.

    Attributes:
        generator: what is trained.
        ema: the exponential moving average of its weights, which is the model.
    """

    def __init__(self, params: Train, device: torch.device) -> None:
        """Networks and optimizers as `params` has them; the initial weights depend on `params.seed` alone."""
        self.params, self.device, self.objective = params, device, OBJECTIVES[params.objective]
        torch.manual_seed(params.seed)
        self.generator = self._placed(build_generator(**params.generator.model_dump()))
        own = params.discriminator
        design = DISCRIMINATORS[own.design]
        self.shift = design.shift
        self.task = task_of(params.generator.design)
        self.own_weights = {name: getattr(params.losses, name) for name in self.task.weighs}
        self.discriminator = self._placed(design.build(own.channels, own.norm))
        self.discriminator_params = [each for each in self.discriminator.parameters() if each.requires_grad]
        self.ema = copy.deepcopy(self.generator).requires_grad_(False).eval()
        for_muon, for_adam = muon_and_adam_params(self.generator, params)
        self.generator_muon = Muon(for_muon, params.muon_lr)
        self.generator_adam = torch.optim.Adam(for_adam, betas=(0.9, 0.99))
        self.discriminator_adam = torch.optim.Adam(self.discriminator_params, betas=(0.5, 0.99))

    def start_from(self, generator: nn.Module) -> None:
        """Take the weights of a generator of the same shape."""
        for network in (self.generator, self.ema):
            network.load_state_dict(generator.state_dict())

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """Update both networks on one batch; during `params.warmup` only the generator, on its task's loss alone.

        Returns:
            Scalars by name: what the attempt shows, such as `l1`, and `generator_gradient` (a
            norm, before clipping), and once the discriminator has joined `adversarial`, `discriminator`, `score_real`
            and `score_restored` (mean logits), `discriminator_gradient`, `feature_matching` where it has a weight, and
            `penalty` in the steps that have it.
        """
        weights = self.params.losses
        self.set_learning_rates(step)
        with self._autocast():
            placed = tuple(x.to(self.device, non_blocking=True) for x in batch)
            attempt = self.task.attempt(self.generator, placed, **self.own_weights)
        losses = dict(attempt.shown)
        g_loss = weights.l1 * attempt.loss
        if weights.adversarial and step >= self.params.warmup:
            target, mask, made, made_mask = shift(self.shift, self.params.seed, step, *attempt.real, *attempt.made)
            real, embedded = self.embed(target), self.embed(made)
            penalty = self.penalty(step, (target, mask), (made.detach(), made_mask.detach()))
            fixed = [x.detach() for x in embedded], made_mask.detach()
            losses |= self.update_discriminator((real, mask), fixed, penalty)
            losses["adversarial"] = self.generator_loss((real, mask), (embedded, made_mask))
            g_loss = g_loss + weights.adversarial * losses["adversarial"]
            if weights.feature_matching:
                losses["feature_matching"] = feature_matching_loss(embedded, real, mask)
                g_loss = g_loss + weights.feature_matching * losses["feature_matching"]
        losses["generator_gradient"] = self.optimizer_step(g_loss, self.generator_muon, self.generator_adam)
        self.update_ema(step)
        detached = {name: loss.detach() for name, loss in losses.items()}
        distributed.all_reduce_mean(list(detached.values()))
        return detached

    def penalty(self, step: int, real: Judged, made: Judged) -> Tensor | None:
        """R1, and R2 where the objective asks for it, in the steps that have it."""
        if not self.params.losses.penalty or step % PENALTY_EVERY:
            return None
        penalized = [real, made] if self.objective.penalize_restored else [real]
        return torch.stack([self._r1_penalty(*each) for each in penalized]).sum()

    def _r1_penalty(self, picture: Tensor, mask: Tensor) -> Tensor:
        return r1_penalty(lambda x: self.score(self.embed(x), mask), picture)

    def update_discriminator(self, real: Embedded, made: Embedded, penalty: Tensor | None) -> dict[str, Tensor]:
        """Let the discriminator learn to tell what is real in a batch from what the generator made.

        Returns:
            What `step` does of the discriminator.
        """
        score_real, score_made = self.score(*real), self.score(*made)
        d_loss = self.objective.discriminator_loss(score_real, score_made)
        losses = {"discriminator": d_loss, "score_real": score_real.mean(), "score_restored": score_made.mean()}
        if penalty is not None:
            losses["penalty"] = penalty
            d_loss = d_loss + PENALTY_EVERY * self.params.losses.penalty * penalty
        losses["discriminator_gradient"] = self.optimizer_step(d_loss, self.discriminator_adam)
        return losses

    def generator_loss(self, real: Embedded, made: Embedded) -> Tensor:
        """What the generator minimizes beside its task's loss; the discriminator's weights get no gradient of it."""
        for parameter in self.discriminator_params:
            parameter.requires_grad_(False)
        score_real = self.score(*real) if self.objective.uses_real else torch.empty(0)
        score_made = self.score(*made)
        for parameter in self.discriminator_params:
            parameter.requires_grad_(True)
        return self.objective.generator_loss(score_real, score_made)

    def embed(self, image: Tensor) -> list[Tensor]:
        """What the discriminator scores of pictures, float N3HW in [0, 1]."""
        with self._autocast():
            return self.discriminator.embed(image)

    def score(self, embedded: list[Tensor], mask: Tensor) -> Tensor:
        """The discriminator's logits, float K, of what `embed` gives, with the pictures' masks (float N1HW)."""
        with self._autocast():
            return self.discriminator(embedded, mask).float()

    def optimizer_step(self, loss: Tensor, *optimizers: torch.optim.Optimizer) -> Tensor:
        """Update the optimizers' parameters; return the norm of their gradient, before clipping."""
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parameters = [parameter for optimizer in optimizers for parameter in optimizer.param_groups[0]["params"]]
        gradients = [parameter.grad for parameter in parameters]
        distributed.all_reduce_mean(gradients)
        norm = get_total_norm(gradients)
        if self.params.clip:
            clip_grads_with_norm_(parameters, self.params.clip, norm)
        for optimizer in optimizers:
            optimizer.step()
        return norm

    @torch.no_grad()
    def update_ema(self, step: int) -> None:
        """Move the average towards the generator: fast in the first steps, as TensorFlow's ExponentialMovingAverage."""
        decay = min(self.params.ema, (1 + step) / (10 + step))
        for average, parameter in zip(self.ema.parameters(), self.generator.parameters(), strict=True):
            average.lerp_(parameter, 1 - decay)
        for held, buffer in zip(self.ema.buffers(), self.generator.buffers(), strict=True):
            held.copy_(buffer)

    def set_learning_rates(self, step: int) -> None:
        """Each network's as its own schedule has it: the discriminator's begins when it joins."""
        params = self.params
        joined, left = step - params.warmup, params.steps - params.warmup
        generator_scale = share_of_peak(params.schedule, step, params.steps)
        discriminator_scale = share_of_peak(params.schedule, max(0, joined), left)
        for optimizer, rate in (
            (self.generator_muon, params.muon_lr * generator_scale),
            (self.generator_adam, params.lr * generator_scale),
            (self.discriminator_adam, params.discriminator.lr * discriminator_scale),
        ):
            optimizer.param_groups[0]["lr"] = rate

    def _placed(self, network: Network) -> Network:
        return network.to(self.device).to(memory_format=torch.channels_last)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.params.precision == "bfloat16")

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the steps change, by name, and the state of torch's random numbers."""
        state = {"rng": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["rng_cuda"] = torch.cuda.get_rng_state(self.device)
        for name in NETWORKS:
            state |= {f"{name}/{key}": tensor for key, tensor in getattr(self, name).state_dict().items()}
        for name in OPTIMIZERS:
            for index, moments in getattr(self, name).state_dict()["state"].items():
                state |= {f"{name}/{index}/{key}": tensor for key, tensor in moments.items()}
        return state

    def layout(self, steps: int) -> dict[str, tuple[torch.Size, torch.dtype]]:
        """What `state_dict` has after so many steps: the name, shape and type of each tensor."""
        state = self.state_dict().items()
        layout = {name: (tensor.shape, tensor.dtype) for name, tensor in state if not name.startswith(OPTIMIZERS)}
        joined = steps > self.params.warmup and self.params.losses.adversarial
        for name in OPTIMIZERS if joined else OPTIMIZERS[:2] if steps else ():
            moments = ["momentum"] if name == "generator_muon" else ["step", "exp_avg", "exp_avg_sq"]
            for index, parameter in enumerate(getattr(self, name).param_groups[0]["params"]):
                layout |= {
                    f"{name}/{index}/{key}": (torch.Size() if key == "step" else parameter.shape, torch.float32)
                    for key in moments
                }
        return layout

    def check_rng(self, state: dict[str, Tensor]) -> None:
        """Refuse random numbers in a `state_dict` that torch cannot go back to.

        Raises:
            RuntimeError: torch's.
        """
        torch.Generator().set_state(state["rng"])
        if self.device.type == "cuda":
            torch.Generator(self.device).set_state(state["rng_cuda"])

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go back to a `state_dict` of the same parameters, bit for bit and in the same memory format."""
        torch.set_rng_state(state["rng"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["rng_cuda"], self.device)
        for name in NETWORKS:
            getattr(self, name).load_state_dict(_below(name, state))
        for name in OPTIMIZERS:
            optimizer = getattr(self, name)
            for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
                for key, value in _below(f"{name}/{index}", state).items():
                    like = value if key == "step" else torch.empty_like(parameter)
                    optimizer.state[parameter][key] = like.copy_(value)


def muon_and_adam_params(generator: nn.Module, params: Train) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The weights of the U-Net's layers between the first and the last, for Muon, and what is left, for Adam.

    A design that takes no Muon is all Adam's.
    """
    with_muon = params.muon_lr and GENERATORS[params.generator.design].takes_muon
    ends = ("stem", "head", "fine", "projections")
    hidden = [
        parameter
        for name, parameter in generator.named_parameters()
        if with_muon and parameter.dim() > 1 and not name.startswith(ends)
    ]
    chosen = set(map(id, hidden))
    return hidden, [parameter for parameter in generator.parameters() if id(parameter) not in chosen]


def _below(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}/"): tensor for key, tensor in state.items() if key.startswith(f"{name}/")}


def shift(less_than: int, seed: int, step: int, *pictures: Tensor) -> list[Tensor]:
    """Pictures and masks, float NCHW, shifted down and across by so many px by chance; their edges are repeated."""
    down, across = np.random.default_rng([seed, step]).integers(less_than, size=2).tolist()
    if not down + across:
        return [*pictures]
    return [F.pad(picture, (across, 0, down, 0), mode="replicate") for picture in pictures]


def feature_matching_loss(restored: list[Tensor], target: list[Tensor], mask: Tensor) -> Tensor:
    """Mean absolute difference of features in the hole (float NCHW at several scales, mask N1HW), a mean of the scales.

    As the feature matching of pix2pixHD (Wang et al. 2018, equation 4), with weights.
    """
    distances = []
    for own, true in zip(restored, target, strict=True):
        hole = F.adaptive_max_pool2d(mask, own.shape[-2:])
        distances.append(((own - true).abs().mean(1, keepdim=True) * hole).sum() / hole.sum())
    return torch.stack(distances).mean()
