"""Texture for large opaque holes: patches of the photo itself in place of the generator's blur.

What the generator restores of a large hole is faithful in colour and light, but has no detail. Here it guides the
completion with patches (`pipeline.priors.exemplar_fill`). They are searched for in a window round the hole, at a scale
that bounds time and memory; what they propose is copied at the picture's own size, so that its texture is the photo's.
A second generator, trained on such completions against a projected discriminator, then makes the patches one picture.
"""

import math

import cv2
import numpy as np

from pipeline.inference.pyramid import Box, Network, as_float, as_kind, in_tiles, painted
from pipeline.inference.windows import separate_boxes
from pipeline.priors import exemplar_fill

THICK = 6  # px: the inner radius, from which on a region is completed; the generator restores thinner ones well
THICK_ENOUGH = 3  # px: the inner radius at the scale of the search, below which there is no texture to be chosen
AROUND, LEAST = 6, 32  # times the inner radius and px: so far around each part of a region patches are searched for
MOST_GUIDANCE, TRUSTED = 1.5, 20.0  # and px, at the scale of the search: what is deeper is guided in proportion less
SIDE = 320  # px: the most of a window's longer side, at the scale of the search
WHOLLY = 0.999  # of a pixel, but for rounding
DEEPEST = 20  # px: the inner radius up to which the second generator knows holes from its training
SIGMA = 3.0  # px, at the scale of the search: what is coarser is the low frequencies


def complete(
    restored: np.ndarray, hole: np.ndarray, opaque: np.ndarray, fidelity: float, refine: Network | None = None
) -> np.ndarray:
    """The large opaque regions of a hole completed with patches.

    Args:
        restored: uint8, uint16 or float32 in [0, 1]; HW3; the picture with the whole hole restored.
        hole: bool HW, true where nothing is known.
        opaque: bool HW, the regions of the hole that may be completed.
        fidelity: from 0 to 1. 0 is patches alone, 1 leaves everything as it is. From 0 to 0.5 the low frequencies go
            over to those of `restored`, from 0.5 to 1 the detail does.
        refine: the generator that starts from the patches; None leaves them as they are.

    Returns:
        As `restored`, and equal to it outside the opaque regions and in those that are thin.
    """
    if fidelity == 1 or hole.all() or not opaque.any():
        return restored
    completed = restored.copy()
    for box in separate_boxes(hole):
        completed[box] = _complete_box(restored[box], hole[box], opaque[box], fidelity, refine)
    return completed


def _complete_box(
    restored: np.ndarray, hole: np.ndarray, opaque: np.ndarray, fidelity: float, refine: Network | None
) -> np.ndarray:
    completed = restored.copy()
    inside = opaque.astype(np.uint8)
    radius = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    _, number, stats, _ = cv2.connectedComponentsWithStats(inside)
    for one in np.unique(number[radius > THICK]):
        left, top, width, height, _ = stats[one]
        own = slice(top, top + height), slice(left, left + width)
        window = _window(radius[own] * (number[own] == one), (top, left), hole.shape)
        scale = math.ceil(max(side.stop - side.start for side in window) / SIDE)
        region = number[window] == one
        depth = radius[window][region].max()
        if depth >= THICK_ENOUGH * scale:
            textured = _textured(as_float(restored[window]), region, ~hole[window], scale, depth, fidelity, refine)
            completed[window][region] = as_kind(textured[region], restored.dtype)
    return completed


def _window(radius: np.ndarray, corner: tuple[int, int], size: tuple[int, ...]) -> Box:
    """What is looked at for a region: around each of its pixels in proportion to the inner radius there.

    So a long tail does not make the window of a thick part wider than what its restoration has seen (`windows`).
    """
    rows, columns = np.nonzero(radius)
    reach = np.maximum(AROUND * radius[rows, columns], LEAST)
    down, across = (
        slice(max(0, math.floor((at - reach).min()) + start), min(end, math.ceil((at + reach).max()) + 1 + start))
        for at, start, end in zip((rows, columns), corner, size, strict=True)
    )
    return down, across


def _textured(
    guide: np.ndarray,
    region: np.ndarray,
    known: np.ndarray,
    scale: int,
    depth: float,
    fidelity: float,
    refine: Network | None,
) -> np.ndarray:
    small, hole, source = _shrink(guide, scale), _shrink(region, scale) > 0, _shrink(known, scale) > WHOLLY
    field = exemplar_fill.match(small, hole, source, guidance=min(MOST_GUIDANCE, TRUSTED * scale / depth))
    if field is None:
        return guide
    textured = exemplar_fill.vote(guide, region, field, scale)
    if refine:
        textured = _refined(refine, textured, region, math.ceil(depth / DEEPEST))
    if not fidelity:
        return textured
    change = guide - textured
    low = cv2.GaussianBlur(_shrink(change, scale), (0, 0), SIGMA, borderType=cv2.BORDER_REFLECT_101)
    low = _enlarge(low, scale, region.shape)
    return textured + min(1, 2 * fidelity) * low + max(0, 2 * fidelity - 1) * (change - low)


def _refined(refine: Network, textured: np.ndarray, region: np.ndarray, scale: int) -> np.ndarray:
    """The patches and what the generator changes of them, as it does at a scale of its training's holes."""
    small, hole = _shrink(textured, scale), _shrink(region, scale) > 0
    change = in_tiles(refine, painted(small, hole), hole, small.__getitem__) - small
    return textured + _enlarge(change, scale, region.shape)


def _enlarge(picture: np.ndarray, scale: int, size: tuple[int, ...]) -> np.ndarray:
    """Back to a size, HW, from what `_shrink` made of it."""
    if scale == 1:
        return picture
    height, width = size
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)[:height, :width]


def _shrink(picture: np.ndarray, scale: int) -> np.ndarray:
    """A picture, or the shares of what is true, at 1 / `scale` of the size; its sides divided and rounded up."""
    height, width = picture.shape[:2]
    border = cv2.BORDER_REPLICATE if picture.ndim == 3 else cv2.BORDER_CONSTANT
    even = cv2.copyMakeBorder(picture.astype(np.float32), 0, -height % scale, 0, -width % scale, border)
    return cv2.resize(even, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
