"""A kind of damage by chance, as often as its weight says, with a hole no larger than allowed."""

from functools import partial
from typing import cast

import numpy as np

from pipeline.corruptions import holes, lowres, mixed
from pipeline.datasets.silhouettes import Silhouette
from pipeline.params import Corrupt, HoleCorruption
from pipeline.runtime.errors import UserError

TRIES = 1000


def weights(params: Corrupt, with_object: bool) -> dict[str, float]:
    """The weight of each kind that can be drawn, with or without silhouettes. Empty where there is none.

    `lowres` is a kind for each of its factors, such as `lowres_x4`, which share its weight.
    """
    impossible = set()
    if not with_object:
        impossible.add("object")
    if len(mixed.kinds(params, with_object)) < 2:
        impossible.add("mixed")
    possible = {kind: weight for kind, weight in params.weights if weight and kind not in impossible}
    factors = params.lowres.factors
    share = possible.pop("lowres", 0) / len(factors)
    return possible | ({f"{lowres.NAME}{factor}": share for factor in factors} if share else {})


def kind(rng: np.random.Generator, params: Corrupt, with_object: bool) -> str:
    """One of `weights`, which must not be empty."""
    names, values = zip(*weights(params, with_object).items(), strict=True)
    return str(rng.choice(names, p=np.divide(values, sum(values))))


def damage(
    kind: str, image: np.ndarray, rng: np.random.Generator, params: Corrupt, silhouette: Silhouette | None
) -> tuple[np.ndarray, np.ndarray]:
    """Damage a picture, drawing again while the hole is larger than `max_hole`; `lowres` has no hole.

    Args:
        kind: a key of `weights`.
        image: uint8 RGB HWC.
        rng: the draw.
        params: of all kinds.
        silhouette: for `object`, needed there, and for `mixed`.

    Returns:
        uint8 RGB HWC, and bool HW, true where to restore.

    Raises:
        UserError: no hole was small enough.
    """
    if kind.startswith(lowres.NAME):
        return lowres.corrupt(image, lowres.factor_of(kind))
    corrupt = mixed.corrupt if kind == "mixed" else partial(holes.corrupt, cast(HoleCorruption, kind))
    for _ in range(TRIES):
        corrupted, mask = corrupt(image, rng, params, silhouette)
        if mask.mean() <= params.max_hole:
            return corrupted, mask
    sections = params.mixed.kinds if kind == "mixed" else [kind]
    raise UserError(
        f"corrupt.max_hole is {params.max_hole}, and {TRIES} holes of {kind} in a row were larger; set it larger, or "
        f"what is in {', '.join(f'corrupt.{section}' for section in sections)} smaller"
    )


def cap_object_area(params: Corrupt) -> Corrupt:
    """`params` with `object.area` below `max_hole`, so that no silhouette is chosen that could never fit."""
    least, most = params.object.area
    area = [least, min(most, 0.9 * params.max_hole)]  # the tenth is for the rounding to whole pixels
    return params.model_copy(update={"object": params.object.model_copy(update={"area": area})})
