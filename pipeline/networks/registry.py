"""The designs that `train.generator.design` chooses from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from pipeline.networks.generator import Generator
from pipeline.networks.pix2pix import TextbookGenerator


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


def build_generator(design: str, **arguments: Any) -> nn.Module:
    """A generator from the parameters of `train.generator`.

    Raises:
        KeyError: there is no such design.
        TypeError: it has not these arguments.
    """
    return GENERATORS[design].build(**arguments)
