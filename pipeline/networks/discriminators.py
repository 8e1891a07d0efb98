"""The designs that `train.discriminator.design` chooses from."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.networks.patchgan import Patches, PatchGan
from pipeline.networks.projected import ProjectedDiscriminator, build_pretrained


@dataclass(frozen=True)
class DiscriminatorDesign:
    """A kind of discriminator: its network's `embed` makes of pictures what it scores, (embedded, mask) -> logits.

    Attributes:
        build: the network, from `channels` and `norm`; a UserError where weights that it needs are not there.
        shift: px: pictures are shifted at random by less, so that no grid of the network is always at the same place.
    """

    build: Callable[[int, str], PatchGan | ProjectedDiscriminator]
    shift: int = 1


DISCRIMINATORS = {
    "patchgan": DiscriminatorDesign(PatchGan),
    "patches": DiscriminatorDesign(Patches),
    "projected": DiscriminatorDesign(build_pretrained, shift=8),
}
