"""The designs that `train.generator.design` chooses from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from pipeline.networks.detector import Detector
from pipeline.networks.enlarger import Enlarger
from pipeline.networks.generator import Generator
from pipeline.networks.pix2pix import TextbookGenerator
from pipeline.networks.translator import Translator
from pipeline.tasks import DAMAGES


@dataclass(frozen=True)
class GeneratorDesign:
    """A kind of generator: its network takes (image, mask), an enlarger's (small, factor), the others' the image.

    Attributes:
        build: the network, from the parameters of `train.generator` but `design`, some of which it may leave unused.
        takes_muon: whether Muon may train its inner layers.
        has_prior: whether it refines a prior, by `refine`: restoring in windows and an export need that.
        task: what it learns from the pairs, a key of `pipeline.tasks.TASKS`.
    """

    build: Callable[..., nn.Module]
    takes_muon: bool
    has_prior: bool
    task: Literal["restore", "superres", "detect", "translate"] = "restore"


def _detector(
    channels: int, blocks: int, scales: int, patch: int, block: str, attention: bool, decoder: str, **_: Any
) -> Detector:
    return Detector(len(DAMAGES), channels, blocks, scales, patch, block, attention, decoder)


def _enlarger(channels: int, blocks: int, block: str, **_: Any) -> Enlarger:
    return Enlarger(channels, blocks, block)


def _translator(
    channels: int, blocks: int, scales: int, patch: int, block: str, attention: bool, decoder: str, **_: Any
) -> Translator:
    return Translator(channels, blocks, scales, patch, block, attention, decoder)


def _textbook(channels: int, scales: int, **_: Any) -> TextbookGenerator:
    return TextbookGenerator(channels, scales)


GENERATORS = {
    "residual": GeneratorDesign(Generator, takes_muon=True, has_prior=True),
    "textbook": GeneratorDesign(_textbook, takes_muon=False, has_prior=False),
    "enlarger": GeneratorDesign(_enlarger, takes_muon=True, has_prior=False, task="superres"),
    "detector": GeneratorDesign(_detector, takes_muon=True, has_prior=False, task="detect"),
    "translator": GeneratorDesign(_translator, takes_muon=True, has_prior=False, task="translate"),
}


def build_generator(design: str, **arguments: Any) -> nn.Module:
    """A generator from the parameters of `train.generator`.

    Raises:
        KeyError: there is no such design.
        TypeError: it has not these arguments.
    """
    return GENERATORS[design].build(**arguments)
