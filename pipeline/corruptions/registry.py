"""The corruptions by name, which is their *kind*."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.corruptions import (
    crease,
    degraded,
    dirt,
    dust,
    freeform,
    hair,
    lowres,
    mixed,
    occlusion,
    scratch,
    speck,
    stain,
    text,
)
from pipeline.corruptions import object as cutout
from pipeline.params import Corrupt


@dataclass(frozen=True)
class Corruption:
    """A kind of damage.

    Attributes:
        corrupt: makes it, `corrupt(image, rng, section) -> (corrupted, mask)` as the package says, where `section` are
            the parameters under the kind's name. Silhouettes and kinds to combine come besides; one that has factors
            is `corrupt(image, factor, rng)`.
        task: what a generator learns from its pairs, a key of `pipeline.tasks.TASKS`.
        has_factors: whether it shrinks the whole picture, by one of the section's `factors`, and so has no hole.
        needs_silhouette: whether `corrupt` takes a `Silhouette` too.
        combines: whether it is made of others, those of the section's `kinds`; see `mixed.corrupt`.
        takes_margin: whether the mask may reach beyond the damage, by `corrupt.margin`.
    """

    corrupt: Callable[..., tuple[np.ndarray, np.ndarray]]
    task: Literal["restore", "superres"] = "restore"
    has_factors: bool = False
    needs_silhouette: bool = False
    combines: bool = False
    takes_margin: bool = True


# The order decides which draw means which kind: another one gives other pairs for the same seed. So new ones go last.
CORRUPTIONS: dict[str, Corruption] = {
    "occlusion": Corruption(occlusion.corrupt),
    "scratch": Corruption(scratch.corrupt),
    "stain": Corruption(stain.corrupt),
    "freeform": Corruption(freeform.corrupt),
    "object": Corruption(cutout.corrupt, needs_silhouette=True),
    "mixed": Corruption(mixed.corrupt, combines=True),
    "lowres": Corruption(lowres.corrupt, task="superres", has_factors=True, takes_margin=False),
    "dust": Corruption(dust.corrupt),
    "hair": Corruption(hair.corrupt),
    "crease": Corruption(crease.corrupt),
    "text": Corruption(text.corrupt),
    "speck": Corruption(speck.corrupt, takes_margin=False),  # nobody paints round half of all pixels
    "dirt": Corruption(dirt.corrupt),
    "degraded": Corruption(degraded.corrupt, task="superres", has_factors=True, takes_margin=False),
}


def labels_of(kind: str, params: Corrupt) -> list[str]:
    """The labels of a kind's pairs (see `labels`): `lowres_x2` and `lowres_x4`, or the kind itself."""
    if CORRUPTIONS[kind].has_factors:
        return [f"{kind}_x{factor}" for factor in getattr(params, kind).factors]
    return [kind]
