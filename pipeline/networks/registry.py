"""The designs that `train.generator.design` and `train.discriminator.design` choose from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from pipeline.networks.discriminator import Discriminator
from pipeline.networks.generator import Generator
from pipeline.networks.pix2pix import TextbookGenerator
from pipeline.networks.projected import ProjectedDiscriminator


@dataclass(frozen=True)
class GeneratorDesign:
    """A kind of generator: its network takes (image, mask), and has a `stride`.

    Attributes:
        build: the network, from the parameters of `train.generator` but `design`, some of which it may leave unused.
        takes_muon: whether Muon may train its inner layers.
        has_prior: whether it refines a prior, by `refine`: restoring in windows and an export need that.
    """

    build: Callable[..., nn.Module]
    takes_muon: bool
    has_prior: bool


def _textbook(channels: int, scales: int, **_: Any) -> TextbookGenerator:
    return TextbookGenerator(channels, scales)


GENERATORS = {
    "residual": GeneratorDesign(Generator, takes_muon=True, has_prior=True),
    "textbook": GeneratorDesign(_textbook, takes_muon=False, has_prior=False),
}


@dataclass(frozen=True)
class DiscriminatorDesign:
    """A kind of discriminator: its network's `embed` makes of pictures what it scores, (embedded, mask) -> logits.

    Attributes:
        build: the network, from `channels` and `norm`.
        shift: px: pictures are shifted at random by less, so that no grid of the network is always at the same place.
        has_features: whether what it embeds is of another network, so that `losses.feature_matching` can compare it.
    """

    build: Callable[[int, str], Discriminator | ProjectedDiscriminator]
    shift: int = 1
    has_features: bool = False


DISCRIMINATORS = {
    "patchgan": DiscriminatorDesign(Discriminator),
    "projected": DiscriminatorDesign(ProjectedDiscriminator, shift=8, has_features=True),
}


def build_generator(design: str, **arguments: Any) -> nn.Module:
    """A generator from the parameters of `train.generator`.

    Raises:
        KeyError: there is no such design.
        TypeError: it has not these arguments.
    """
    return GENERATORS[design].build(**arguments)
