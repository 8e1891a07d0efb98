"""Large pictures: only windows round the holes are looked at, so that memory follows the holes, not the picture.

A pixel of a hole is seen with as much around it as its restoration reaches: of each scale that takes part in it
(`pyramid.restore`), that scale's margin. So nothing changes but where tiles meet, which is less than a rounding.
"""

from collections.abc import Callable, Iterator
from functools import reduce

import cv2
import numpy as np

from pipeline.inference import pyramid
from pipeline.inference.pyramid import GRID, MARGIN, RIM, Box, extent, within

WHOLE = 2**24  # px: up to so many a picture is restored as a whole
MOST = 2**23  # px: windows become one where that saves work, unless it had more
CELL = 1024  # px: side of the squares that a hole is divided into
NEAR = 64  # windows: so many of those before are tried for one with the next

Restore = Callable[[np.ndarray, np.ndarray, bool | None], np.ndarray]
Window = tuple[list[Box], Box]
"""Boxes to be restored, and the box around all of them that must be seen for it."""


def restore(restore_whole: Restore, image: np.ndarray, hole: np.ndarray, see_through: bool | None) -> np.ndarray:
    """Restore the hole of a picture of any size by a network's `pyramid.restore`, whose arguments and result it has."""
    if hole.size <= WHOLE or hole.all():
        return restore_whole(image, hole, see_through)
    opaque = find_opaque(image, hole, see_through)  # a region may reach through many windows: it is judged once
    restored = image.copy()
    for boxes, window in windows(hole):
        result = restore_whole(pyramid.painted(image[window], opaque[window]), hole[window], True)
        for box in boxes:
            restored[box] = result[within(box, window)]
    return restored


def find_opaque(image: np.ndarray, hole: np.ndarray, see_through: bool | None) -> np.ndarray:
    """What of the hole is not looked at: bool HW. Arguments as those of `pyramid.restore`."""
    if hole.all() or see_through:
        return np.zeros_like(hole)
    if see_through is not None:
        return hole
    opaque = np.zeros_like(hole)
    for box in separate_boxes(hole):
        opaque[box] = pyramid.find_opaque(image[box], hole[box])
    return opaque


def separate_boxes(hole: np.ndarray) -> list[Box]:
    """Boxes that cover the hole and do not overlap: cut to each, the picture is restored as the whole of it is.

    No connected region of the hole reaches through two, as windows of the same region overlap.
    """
    if hole.size <= WHOLE or hole.all():
        return [(slice(0, hole.shape[0]), slice(0, hole.shape[1]))]
    found: list[Box] = []
    for _, window in windows(hole):
        box = from_cell(window)
        while near := [other for other in found if overlaps(box, other)]:
            found = [other for other in found if other not in near]
            box = reduce(hull, near, box)
        found.append(box)
    return found


def windows(hole: np.ndarray) -> list[Window]:
    """Windows whose boxes cover the hole; those that overlap much are one."""
    found: list[Window] = []
    for box, scale in cells(hole):
        boxes, window = [box], around(box, scale, hole.shape)
        for earlier in reversed(found[-NEAR:]):
            union = hull(window, earlier[1])
            apart = area(window), area(earlier[1])
            if area(union) == max(apart) or area(union) <= min(MOST, sum(apart)):
                found.remove(earlier)
                boxes, window = earlier[0] + boxes, union
        found.append((boxes, window))
    return found


def cells(hole: np.ndarray) -> Iterator[tuple[Box, int]]:
    """Boxes that cover the hole, and how often the picture is halved for the coarsest scale that takes part in each."""
    taking_part, gone = [hole], hole
    while taking_part[-1].any():
        gone = halve(gone)
        taking_part.append(deep(gone))
    height, width = hole.shape
    for top in range(0, height, CELL):
        for left in range(0, width, CELL):
            cell = hole[top : top + CELL, left : left + CELL]
            if cell.any():
                parts = [take_scale(piece, scale, top, left) for scale, piece in enumerate(taking_part)]
                coarsest = max(scale for scale, piece in enumerate(parts) if piece.any())
                yield (extent(np.any(cell, 1), top), extent(np.any(cell, 0), left)), coarsest


def take_scale(piece: np.ndarray, scale: int, top: int, left: int) -> np.ndarray:
    """A cell at a scale, and what of its neighbours shares a pixel with it."""
    down, across = (slice(start >> scale, (start + CELL - 1 >> scale) + 1) for start in (top, left))
    return piece[down, across]


def halve(hole: np.ndarray) -> np.ndarray:
    """The hole at half the size: what nothing is known of, as `numpy_fill.halve` has it."""
    even = np.pad(hole, [(0, side % 2) for side in hole.shape], constant_values=True)
    return even[::2, ::2] & even[::2, 1::2] & even[1::2, ::2] & even[1::2, 1::2]


def deep(gone: np.ndarray) -> np.ndarray:
    """Where a scale is asked what is coarse: as `pyramid.inside`, and a pixel around it for the bilinear filter."""
    inner = cv2.erode(
        gone.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RIM + 1,) * 2), borderValue=1
    )
    return cv2.dilate(inner, np.ones((2 * RIM + 3,) * 2, np.uint8)).astype(bool)


def around(box: Box, scale: int, size: tuple[int, ...]) -> Box:
    """The window of a box: with the margin of a scale, and wide enough that `pyramid.restore` goes on to that scale."""
    margin, grid = MARGIN << scale, GRID << scale

    def seen(side: slice, end: int) -> slice:
        start, stop = max(0, side.start - margin), min(end, side.stop + margin)
        start = max(0, min(start, stop - 2 * margin)) // grid * grid
        return slice(start, min(end, max(stop, start + 2 * margin)))

    return seen(box[0], size[0]), seen(box[1], size[1])


def hull(first: Box, second: Box) -> Box:
    """The least box around two."""
    down, across = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return down, across


def from_cell(box: Box) -> Box:
    """A box that begins where a cell does, so that in it the cells are those of the whole picture."""
    down, across = (slice(side.start // CELL * CELL, side.stop) for side in box)
    return down, across


def overlaps(first: Box, second: Box) -> bool:
    """Whether two boxes have a pixel in common."""
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(first, second, strict=True))


def area(box: Box) -> int:
    """In px."""
    return (box[0].stop - box[0].start) * (box[1].stop - box[1].start)
