"""A corruption by chance, as often as its weight says, with a hole no larger than allowed."""

import cv2
import numpy as np

from pipeline.corruptions.labels import factor_of, name_of
from pipeline.corruptions.registry import CORRUPTIONS, labels_of
from pipeline.corruptions.uniform import draw_amount
from pipeline.datasets.silhouettes import Silhouette
from pipeline.params import Corrupt
from pipeline.runtime.errors import UserError

TRIES = 1000
SMALL = 16  # px: up to here a dilation by a disc is the quicker of two ways to the same mask


def weigh_labels(params: Corrupt, with_silhouettes: bool) -> dict[str, float]:
    """The weight of each label that can be drawn, with or without silhouettes. Empty where there is none.

    The labels of a kind share its weight.
    """
    weights: dict[str, float] = {}
    for kind, corruption in CORRUPTIONS.items():
        too_few = corruption.combines and len(_list_combined(kind, params, with_silhouettes)) < 2
        possible = with_silhouettes or not corruption.needs_silhouette
        weight = getattr(params.weights, kind)
        if weight and possible and not too_few:
            labels = labels_of(kind, params)
            weights |= dict.fromkeys(labels, weight / len(labels))
    return weights


def draw_label(rng: np.random.Generator, params: Corrupt, with_silhouettes: bool) -> str:
    """One of `weigh_labels`, which must not be empty."""
    labels, weights = zip(*weigh_labels(params, with_silhouettes).items(), strict=True)
    return str(rng.choice(labels, p=np.divide(weights, sum(weights))))


def corrupt(
    label: str, image: np.ndarray, rng: np.random.Generator, params: Corrupt, silhouette: Silhouette | None
) -> tuple[np.ndarray, np.ndarray]:
    """Corrupt a picture, drawing again while the hole is larger than `max_hole`; one of low resolution
    has no hole.

    Args:
        label: a key of `weigh_labels`.
        image: uint8 RGB HWC.
        rng: the draw.
        params: of all kinds.
        silhouette: for `object`, needed there, and for `mixed`.

    Returns:
        uint8 RGB HWC, and bool HW, true where it is damaged.

    Raises:
        KeyError: a label of no kind.
        UserError: no hole was small enough.
    """
    kind = name_of(label)
    corruption = CORRUPTIONS[kind]
    if corruption.has_factors:
        return corruption.corrupt(image, factor_of(label), rng)
    for _ in range(TRIES):
        corrupted, mask = _corrupt_once(kind, image, rng, params, silhouette)
        if mask.mean() <= params.max_hole:
            return corrupted, mask
    sections = getattr(params, kind).kinds if corruption.combines else [kind]
    raise UserError(
        f"corrupt.max_hole is {params.max_hole}, and {TRIES} holes of {kind} in a row were larger; set it larger, or "
        f"what is in {', '.join(f'corrupt.{section}' for section in sections)} smaller"
    )


def widen(label: str, damage: np.ndarray, rng: np.random.Generator, params: Corrupt) -> tuple[np.ndarray, float]:
    """The mask that a hand would paint over the damage: `corrupt.margin` wider, as far as `max_hole` allows.

    Of so many as `corrupt.exact` says, it fits the damage as a careful hand's does.

    Args:
        label: of the pair, as `corrupt` takes it.
        damage: bool HW, true where it is damaged.
        rng: draws the margin.
        params: of all kinds.

    Returns:
        bool HW, true where to restore; and how far that reaches beyond the damage, as a share of the shorter side: NaN
        for a kind whose mask always fits.
    """
    if not CORRUPTIONS[name_of(label)].takes_margin:
        return damage, np.nan
    if params.exact and rng.random() < params.exact:
        return damage, 0.0
    side = min(damage.shape)
    for reach in range(round(side * draw_amount(rng, params.margin)), 0, -1):
        mask = _dilate(damage, reach)
        if mask.mean() <= params.max_hole:
            return mask, reach / side
    return damage, 0.0


def _dilate(mask: np.ndarray, reach: int) -> np.ndarray:
    """All that is no further than `reach` px from a mask (bool HW)."""
    if reach > SMALL:
        return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    return cv2.dilate(mask.view(np.uint8), (x**2 + y**2 <= reach**2).astype(np.uint8)).view(bool)


def _corrupt_once(
    kind: str, image: np.ndarray, rng: np.random.Generator, params: Corrupt, silhouette: Silhouette | None
) -> tuple[np.ndarray, np.ndarray]:
    """Corrupt a picture by one kind, with its own section of `params`."""
    corruption = CORRUPTIONS[kind]
    if corruption.combines:
        kinds = _list_combined(kind, params, silhouette is not None)
        return corruption.corrupt(
            image, rng, kinds, lambda each, picture: _corrupt_once(each, picture, rng, params, silhouette)
        )
    given = [silhouette] if corruption.needs_silhouette else []
    return corruption.corrupt(image, rng, getattr(params, kind), *given)


def _list_combined(kind: str, params: Corrupt, with_silhouettes: bool) -> list[str]:
    """The kinds that `kind` can combine."""
    kinds = getattr(params, kind).kinds
    return [each for each in kinds if with_silhouettes or not CORRUPTIONS[each].needs_silhouette]
