"""A picture of any size: tile by tile, so that memory stays small, and at several scales, so that large holes are seen.

At its own scale a picture is restored as the generator was trained: from the prior, which spans the whole of it, so
that tiles show no seam. But the generator sees 100 px around it. So the same is done at half the size, and at a
quarter, until the picture is as small as those of the training; and inside holes that are large at the smaller scale,
what is coarse is taken from there, as in a Laplacian pyramid (Burt and Adelson 1983).

On 67 test photos of COCO at 640 px that gained, in dB of the hole over one scale alone: stain 1.6, occlusion 0.3,
freeform 0.2, scratch 0.0 (`benchmarks/repair.py`).
"""

import math
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from pipeline.inference import opacity
from pipeline.priors.numpy_fill import average_four, enlarge, fill, halve, smooth

Network = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(image float32 HW3 in [0, 1], hole bool HW, start as image) -> float32 HW3, as `Generator.refine`."""

GREY = 128 / 255
SMALLEST = 256  # px: up to this side a picture is restored at its own scale alone
RIM = 4  # px of the smaller scale: within it of a hole's edge the finer scale knows better
JUDGED = 640  # px: a region whose box is larger than a square of this side is judged shrunk to as many px
TILE = 512  # px: side of what is restored at once
MARGIN = 192  # px around it, more than the prior's sweeps (48) and the generator's convolutions (133) reach
GRID = 16  # px: what the generator sees as one position at its coarsest scale, where tiles must begin

Box = tuple[slice, slice]


def restore(
    network: Network, prior: str, image: np.ndarray, hole: np.ndarray, see_through: bool | None = None
) -> np.ndarray:
    """Restore the hole.

    Args:
        network: the generator.
        prior: what it starts from.
        image: uint8, uint16 or float32 in [0, 1]; HW3.
        hole: bool HW, true where to restore. Where it is true everywhere, the picture is taken as degraded.
        see_through: look at what is in the hole, as stains let some of the picture through. If not, the hole is
            painted grey first, as some of the training's are; so an object goes without a trace. None looks where
            something shines through, region by region (`opacity`).

    Returns:
        As `image`, and equal to it outside the hole.
    """
    if not hole.any():
        return image
    if hole.all():
        return in_tiles(network, image, hole, lambda around: as_float(image[around]))
    if not see_through:
        image = painted(image, find_opaque(image, hole) if see_through is None else hole)
    if max(hole.shape) <= SMALLEST:
        filled = fill(prior, as_float(image), hole)
        return in_tiles(network, image, hole, lambda around: filled[around])
    known, gone = halve(as_float(image), hole)
    half_filled = fill(prior, known, gone)

    def start(around: Box) -> np.ndarray:
        piece, gap = as_float(image[around]), hole[around]
        return smooth(prior, enlarge(half_filled[half(around)], gap.shape), piece, gap).clip(0, 1)

    restored = in_tiles(network, image, hole, start)
    weight = inside(gone)
    if not weight.any():
        return restored
    small = np.where(gone[..., None], average_four(as_float(image)), known)
    coarse = restore(network, prior, small, gone, see_through=True)
    correction = weight[..., None] * (coarse - average_four(as_float(restored)))
    for tile, around in tiles(hole):
        change = enlarge(correction[half(around)], hole[around].shape)[within(tile, around)]
        corrected = as_kind(as_float(restored[tile]) + change, image.dtype)
        restored[tile] = np.where(hole[tile][..., None], corrected, image[tile])
    return restored


def find_opaque(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The regions of the hole through which nothing shines, each judged from its own surroundings; bool HW."""
    covered = np.zeros_like(hole)
    count, region, stats, _ = cv2.connectedComponentsWithStats(hole.astype(np.uint8))
    for regions in group_regions(stats[1:]):
        box, scale = frame_regions(stats[regions], hole.shape)
        number = np.zeros(count, np.int32)
        number[regions] = np.arange(1, len(regions) + 1)
        own = number[region[box]]
        if scale < 1:
            small, shown, gaps = (
                shrink(image[box], scale),
                *(shrink_mask(piece, scale) for piece in (own > 0, hole[box])),
            )
        else:
            small, shown, gaps = image[box], own, hole[box]
        covered[box] |= opacity.find_opaque(as_float(small), shown.astype(np.int32), gaps)[own]
    return covered


def group_regions(stats: np.ndarray) -> list[np.ndarray]:
    """The numbers of the regions, from 1 on, that are judged at once: small ones of a tile, for speed; each large one.

    Args:
        stats: of OpenCV, one line a region: left, top, width, height, area in px.
    """
    left, top, width, height, _ = stats.T
    tile = top // JUDGED * (left.max() // JUDGED + 1) + left // JUDGED
    batch = np.where(np.maximum(width, height) > JUDGED, -1 - np.arange(len(stats)), tile)
    order = np.argsort(batch, kind="stable")
    return np.split(order + 1, np.flatnonzero(np.diff(batch[order])) + 1)


def frame_regions(stats: np.ndarray, size: tuple[int, ...]) -> tuple[Box, float]:
    """The box that is looked at to judge some regions, and the scale of it."""
    left, top, width, height, _ = stats.T
    down, across = slice(top.min(), (top + height).max()), slice(left.min(), (left + width).max())
    scale = min(1.0, JUDGED / math.sqrt(max(height * width)))
    margin = math.ceil(opacity.REACH / scale)
    return (widen(down, size[0], margin), widen(across, size[1], margin)), scale


def shrink(image: np.ndarray, scale: float) -> np.ndarray:
    """The picture at a smaller scale."""
    height, width = (max(1, round(scale * side)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def shrink_mask(where: np.ndarray, scale: float) -> np.ndarray:
    """The pixels at a smaller scale that have a share of what is true; bool HW."""
    return shrink(where.astype(np.uint8) * 255, scale) > 0


def painted(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The picture in grey where nothing of it is to be looked at (bool HW)."""
    return np.where(where[..., None], as_kind(np.full(3, GREY, np.float32), image.dtype), image)


def inside(hole: np.ndarray) -> np.ndarray:
    """1 in the hole further than `RIM` from its edge, and down to 0 towards it; float32 HW."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RIM + 1,) * 2)
    inner = cv2.erode(hole.astype(np.uint8), disc, borderValue=1).astype(np.float32)
    return cv2.blur(inner, (2 * RIM + 1,) * 2) * hole


def in_tiles(network: Network, image: np.ndarray, hole: np.ndarray, start: Callable[[Box], np.ndarray]) -> np.ndarray:
    """The hole restored at the picture's own scale; `start` gives what the generator starts from in a box."""
    restored = image.copy()
    for tile, around in tiles(hole):
        result = network(as_float(image[around]), hole[around], start(around))
        inner = as_kind(result, image.dtype)[within(tile, around)]
        restored[tile] = np.where(hole[tile][..., None], inner, image[tile])
    return restored


def tiles(hole: np.ndarray, side: int = TILE, margin: int = MARGIN) -> Iterator[tuple[Box, Box]]:
    """Boxes that together cover the hole, and each with the margin that it must be seen with.

    All begin on the `GRID`, so that a tile is restored as it would be in the whole picture.
    """
    height, width = hole.shape
    for top in range(0, height, side):
        for left in range(0, width, side):
            cell = hole[top : top + side, left : left + side]
            if cell.any():
                down, across = extent(np.any(cell, 1), top), extent(np.any(cell, 0), left)
                yield (down, across), (widen(down, height, margin), widen(across, width, margin))


def extent(occupied: np.ndarray, offset: int) -> slice:
    """From the first that is true to the last, both moved outwards to the grid."""
    first, last = np.flatnonzero(occupied)[[0, -1]]
    return slice(offset + first // GRID * GRID, offset + min(len(occupied), -(-(last + 1) // GRID) * GRID))


def widen(side: slice, end: int, margin: int = MARGIN) -> slice:
    """With the margin, inside the picture."""
    return slice(max(0, side.start - margin), min(end, side.stop + margin))


def within(inner: Box, outer: Box) -> Box:
    """A box in the coordinates of the one around it."""
    down, across = (slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True))
    return down, across


def half(box: Box) -> Box:
    """The same place at half the size."""
    down, across = (slice(side.start // 2, -(-side.stop // 2)) for side in box)
    return down, across


def as_float(image: np.ndarray) -> np.ndarray:
    """Any of the three kinds of pixels as float32 in [0, 1]."""
    if image.dtype == np.float32:
        return image
    return image.astype(np.float32) / np.iinfo(image.dtype).max


def as_kind(image: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Back from float32: clipped and rounded for integers, clipped for floats."""
    clipped = image.clip(0, 1)
    if kind == np.float32:
        return clipped
    return (clipped * np.iinfo(kind).max).round().astype(kind)
