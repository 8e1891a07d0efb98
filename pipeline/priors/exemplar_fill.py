"""A hole completed with patches of the picture around it, so that its texture is the photo's own.

Image completion by patches (Wexler, Shechtman and Irani 2007) at several scales, the nearest patches found by
PatchMatch (Barnes et al. 2009): in turns, each patch that touches the hole looks for the most similar one that is known
(`match`), and each pixel becomes the mean of what the patches over it propose (`vote`). It is guided by a smooth fill:
patches must also agree with its blur, so that the coarse look stays that of the guide, and only detail is copied.

Patches are compared by their lowest DCT coefficients, luminance finer than colour, as JPEG does: the transform is
orthonormal, so this is the distance of the patches themselves without their finest detail, at a fifth of the numbers.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.priors.numpy_fill import average_four, enlarge, halve

RADIUS = 3  # px: patches are squares of 7 px
SMALLEST = 16  # px: the shorter side is halved while it stays at least so long
ROUNDS = 6  # of searching and voting, a scale
STEPS = (1, 3, 1)  # px: from so far, in each direction, a patch takes over what its neighbour has found; at most RADIUS
GUIDANCE = 1.5  # what a difference of the guide counts, beside the same difference of the patches
BLUR = 2.0  # px: sigma of what is compared of the guide
TRUSTED = 0.75  # quantile of the distances of the patches that is the scale of their weights
FALL, DEEP = 1.2, 99  # a patch's weight falls so much with each px from the edge, down to so many px
ALIGNMENTS, LENIENCE = 2, 1.2  # at last, patches so much further are taken over too: larger pieces stay whole
SURE = 0.3  # the same quantile of the last vote
LUMINANCE, COLOUR = 5, 1  # up to this sum of its two frequencies a DCT coefficient counts
OPPONENTS = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float32) / np.sqrt([[3], [2], [6]], dtype=np.float32)
BATCH = 2**16  # px that are voted for at once


@dataclass(frozen=True)
class Field:
    """For each pixel near the hole where the patch most similar to its own lies, and how far that can be trusted."""

    down: np.ndarray
    """int32 HW, px to go from the pixel; 0 where there is no patch."""
    across: np.ndarray
    """As `down`."""
    weight: np.ndarray
    """float32 HW, above 0; 0 where there is no patch."""


def fill(
    guide: np.ndarray, hole: np.ndarray, source: np.ndarray | None = None, seed: int = 0, guidance: float = GUIDANCE
) -> np.ndarray:
    """The hole completed with patches.

    Args:
        guide: float32 HW3 in [0, 1], the picture with the hole filled smoothly (`pipeline.priors.numpy_fill`).
        hole: bool HW, true where to complete.
        source: bool HW, true where patches may be taken from; by default wherever there is no hole.
        seed: of the search; the same gives the same bytes.
        guidance: how much the look of the guide counts; 0 is completion without one.

    Returns:
        float32 HW3 in [0, 1], equal to `guide` outside the hole. Where no patch of 7 x 7 px is known, the guide.
    """
    field = match(guide, hole, ~hole if source is None else source, seed, guidance)
    return guide.copy() if field is None else vote(guide, hole, field)


def match(
    guide: np.ndarray, hole: np.ndarray, source: np.ndarray, seed: int = 0, guidance: float = GUIDANCE
) -> Field | None:
    """Where each patch of the hole comes from; None where nothing can be copied. Arguments as those of `fill`."""
    scales = [(guide, hole, source & ~hole)]
    while min(scales[-1][1].shape) >= 2 * SMALLEST:
        scales.append(_halve(*scales[-1]))
    rng = np.random.default_rng(seed)
    completed: np.ndarray | None = None
    field: Field | None = None
    for picture, gap, known in reversed(scales):
        start = picture if completed is None else enlarge(completed, gap.shape)
        completed, field = _complete(picture, start, gap, known, field, guidance, rng)
    return field


def vote(picture: np.ndarray, hole: np.ndarray, field: Field, scale: int = 1) -> np.ndarray:
    """Each pixel of the hole as the patches over it propose.

    Args:
        picture: float32 HW3.
        hole: bool HW.
        field: of the picture, or of it at 1 / `scale` of the size (its sides divided and rounded up).
        scale: so many px of the picture are one of the field.

    Returns:
        float32 HW3, equal to `picture` outside the hole.
    """
    voted = picture.copy()
    rows, columns = np.nonzero(hole)
    for first in range(0, len(rows), BATCH):
        down, across = rows[first : first + BATCH], columns[first : first + BATCH]
        voted[down, across] = _proposed(picture, down, across, field, scale)
    return voted


def _proposed(picture: np.ndarray, down: np.ndarray, across: np.ndarray, field: Field, scale: int) -> np.ndarray:
    """The mean of what the nine nearest patches of each pixel propose, weighted by a tent of 3 px of the field."""
    height, width = field.weight.shape
    total, sum_of_weights = np.zeros((len(down), 3), np.float32), np.zeros((len(down), 1), np.float32)
    for row_step in (-1, 0, 1):
        for column_step in (-1, 0, 1):
            row, column = down // scale + row_step, across // scale + column_step
            apart = (np.abs((side + 0.5) / scale - at - 0.5) for side, at in ((down, row), (across, column)))
            near = np.prod([np.maximum(1.5 - distance, 0) for distance in apart], axis=0)
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            at = row.clip(0, height - 1), column.clip(0, width - 1)
            weight = (inside * near * field.weight[at]).astype(np.float32)[:, None]
            # beyond the edge only where the last pixels of the field reach over it
            from_row = (down + scale * field.down[at]).clip(0, picture.shape[0] - 1)
            from_column = (across + scale * field.across[at]).clip(0, picture.shape[1] - 1)
            total += weight * picture[from_row, from_column]
            sum_of_weights += weight
    return total / sum_of_weights


def _halve(guide: np.ndarray, hole: np.ndarray, source: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All three at half the size, what is known not mixed with what is not."""
    known, unknown = halve(guide, ~source)
    gone = average_four((~hole).astype(np.float32), cv2.BORDER_CONSTANT) == 0
    return np.where(unknown[..., None], average_four(guide), known), gone, ~unknown


def _complete(
    picture: np.ndarray,
    start: np.ndarray,
    hole: np.ndarray,
    source: np.ndarray,
    earlier: Field | None,
    guidance: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, Field | None]:
    """The picture completed at one scale from a start, and its field; without a patch to copy, as it is.

    Pixels and patches are numbers: rows times the width of the picture, plus columns.
    """
    square = np.ones((2 * RADIUS + 1,) * 2, np.uint8)
    target = np.flatnonzero(cv2.dilate(hole.astype(np.uint8), square))
    whole = cv2.erode(source.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(bool)
    if not len(target) or not whole.any():
        return picture, None
    look = guidance * (2 * RADIUS + 1) * cv2.GaussianBlur(picture, (0, 0), BLUR, borderType=cv2.BORDER_REFLECT_101)
    sources, box = _features(picture, look), _around(hole)
    inner = _in_box(target, box, hole.shape)
    nearest = _first_guess(target, whole, earlier, rng)
    beside, votes = _neighbours(target, hole.shape), _voters(target, hole)
    completed = np.where(hole[..., None], start, picture)
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5).ravel()[target]
    inward = FALL ** -np.minimum(depth, DEEP)
    for _ in range(ROUNDS):
        wanted = _features(completed[box], look[box])[inner]
        distance = _search(nearest, sources, wanted, whole, beside, rng)
        alike = np.exp(-distance / (2 * np.quantile(distance, TRUSTED) + 1e-9)) + 1e-8
        completed[hole] = _mean_vote(picture, nearest, alike * inward, *votes)
    for _ in range(ALIGNMENTS):
        _take_over(nearest, distance, beside, sources, wanted, whole, LENIENCE)
    return completed, _as_field(target, nearest, distance, hole.shape)


def _around(hole: np.ndarray) -> tuple[slice, slice]:
    """What the patches that touch the hole lie in."""
    margin = 2 * RADIUS
    sides = []
    for axis in (1, 0):
        first, last = np.flatnonzero(hole.any(axis))[[0, -1]]
        sides.append(slice(max(0, first - margin), last + 1 + margin))
    return sides[0], sides[1]


def _in_box(target: np.ndarray, box: tuple[slice, slice], size: tuple[int, ...]) -> np.ndarray:
    """The numbers of the patches in a box of the picture."""
    row, column = np.divmod(target, size[1])
    return (row - box[0].start) * (min(box[1].stop, size[1]) - box[1].start) + column - box[1].start


def _features(picture: np.ndarray, look: np.ndarray) -> np.ndarray:
    """What is compared of the patch around each pixel, a row each; float32."""
    side = 2 * RADIUS + 1
    frequency, at = np.mgrid[:side, :side]
    waves = np.cos(np.pi * frequency * (2 * at + 1) / (2 * side)) * np.sqrt(np.where(frequency, 2, 1) / side)
    planes = [look]
    for channel, highest in zip(cv2.split(cv2.transform(picture, OPPONENTS)), (LUMINANCE, COLOUR, COLOUR), strict=True):
        planes += [
            cv2.sepFilter2D(channel, cv2.CV_32F, waves[i], waves[j], borderType=cv2.BORDER_REFLECT_101)
            for i in range(side)
            for j in range(min(side, highest + 1 - i))
        ]
    return np.dstack(planes).reshape(look.shape[0] * look.shape[1], -1)


def _first_guess(target: np.ndarray, whole: np.ndarray, earlier: Field | None, rng: np.random.Generator) -> np.ndarray:
    """For each patch where it was found at half the size, or any one."""
    height, width = whole.shape
    guess = rng.choice(np.flatnonzero(whole), len(target))
    if earlier is not None:
        row, column = np.divmod(target, width)
        at = row // 2, column // 2
        row, column = row + 2 * earlier.down[at], column + 2 * earlier.across[at]
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        kept = inside & whole[row.clip(0, height - 1), column.clip(0, width - 1)]
        guess[kept] = (row * width + column)[kept]
    return guess


def _neighbours(target: np.ndarray, size: tuple[int, ...]) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Steps to other patches of the hole: by how much the number grows, the patches that have one there, and which."""
    height, width = size
    number = np.full(height * width, -1)
    number[target] = np.arange(len(target))
    row, column = np.divmod(target, width)
    found = []
    for step in STEPS:
        for down, across in ((0, step), (0, -step), (step, 0), (-step, 0)):
            there = number[(row + down).clip(0, height - 1) * width + (column + across).clip(0, width - 1)]
            inside = (row + down >= 0) & (row + down < height) & (column + across >= 0) & (column + across < width)
            ours = np.flatnonzero(inside & (there >= 0))
            found.append((down * width + across, ours, there[ours]))
    return found


def _search(
    nearest: np.ndarray,
    sources: np.ndarray,
    wanted: np.ndarray,
    whole: np.ndarray,
    beside: list[tuple[int, np.ndarray, np.ndarray]],
    rng: np.random.Generator,
) -> np.ndarray:
    """Improve the nearest patches, in place, by those of neighbours and by chance; their squared distances."""
    height, width = whole.shape
    distance = _distances(sources[nearest], wanted)
    _take_over(nearest, distance, beside, sources, wanted, whole)
    everyone = np.arange(len(nearest))
    reach = max(height, width) // 2
    while reach:
        row, column = np.divmod(nearest, width)
        row = (row + rng.integers(-reach, reach + 1, len(nearest))).clip(0, height - 1)
        column = (column + rng.integers(-reach, reach + 1, len(nearest))).clip(0, width - 1)
        _offer(nearest, distance, row * width + column, everyone, sources, wanted, whole)
        reach //= 3
    anywhere = rng.choice(np.flatnonzero(whole), len(nearest))
    _offer(nearest, distance, anywhere, everyone, sources, wanted, whole)
    return distance


def _take_over(
    nearest: np.ndarray,
    distance: np.ndarray,
    beside: list[tuple[int, np.ndarray, np.ndarray]],
    sources: np.ndarray,
    wanted: np.ndarray,
    whole: np.ndarray,
    lenience: float = 1,
) -> None:
    """Offer each patch what its neighbours have found, moved by as much as they are apart."""
    for step, ours, there in beside:  # no further than `RADIUS`: so far sources are from the edge
        _offer(nearest, distance, nearest[there] - step, ours, sources, wanted, whole, lenience)


def _offer(
    nearest: np.ndarray,
    distance: np.ndarray,
    offered: np.ndarray,
    ours: np.ndarray,
    sources: np.ndarray,
    wanted: np.ndarray,
    whole: np.ndarray,
    lenience: float = 1,
) -> None:
    """Take, in place, those of the offered patches that are sources and less than `lenience` times as far."""
    new = whole.ravel()[offered] & (offered != nearest[ours])
    offered, ours = offered[new], ours[new]
    offered_distance = _distances(sources[offered], wanted[ours])
    better = offered_distance < lenience * distance[ours]
    nearest[ours[better]], distance[ours[better]] = offered[better], offered_distance[better]


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Squared, row by row."""
    apart = first - second
    return np.einsum("ij,ij->i", apart, apart)


def _voters(target: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel of the hole the patches over it, by their places in `target`, and where it is in each of them.

    A patch beyond the edge of the picture is none: its place is one behind the last.
    """
    height, width = hole.shape
    number = np.full((height + 2 * RADIUS, width + 2 * RADIUS), len(target))
    inner = number[RADIUS : RADIUS + height, RADIUS : RADIUS + width]
    inner[np.divmod(target, width)] = np.arange(len(target))
    row, column = np.nonzero(hole)
    down, across = (axis.ravel() for axis in np.mgrid[: 2 * RADIUS + 1, : 2 * RADIUS + 1])
    voters = number[row[:, None] + down, column[:, None] + across].astype(np.int32)
    return voters, ((down - RADIUS) * width + across - RADIUS).astype(np.int32)


def _mean_vote(
    picture: np.ndarray, nearest: np.ndarray, weight: np.ndarray, voters: np.ndarray, place: np.ndarray
) -> np.ndarray:
    """The weighted mean of what the patches over each pixel of the hole propose; float32, a row of 3 a pixel."""
    colours, patches = picture.reshape(-1, 3), np.append(nearest, 0)
    weights = np.append(weight, 0).astype(np.float32)
    voted = np.empty((len(voters), 3), np.float32)
    for first in range(0, len(voters), BATCH // 8):
        some = voters[first : first + BATCH // 8]
        counts = weights[some]
        proposed = colours[np.maximum(patches[some] - place, 0)]
        voted[first : first + len(some)] = np.einsum("ij,ijk->ik", counts, proposed) / counts.sum(1, keepdims=True)
    return voted


def _as_field(target: np.ndarray, nearest: np.ndarray, distance: np.ndarray, size: tuple[int, ...]) -> Field:
    height, width = size
    down, across = (
        there - here for there, here in zip(np.divmod(nearest, width), np.divmod(target, width), strict=True)
    )
    planes = [np.zeros(height * width, kind) for kind in (np.int32, np.int32, np.float32)]
    weight = np.exp(-distance / (np.quantile(distance, SURE) + 1e-9)) + 1e-8
    for plane, values in zip(planes, (down, across, weight), strict=True):
        plane[target] = values
    return Field(*(plane.reshape(size) for plane in planes))
