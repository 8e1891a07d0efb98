"""How real a restoration looks, as far as numbers say: texture from a grid, and distances between a network's features.

Beside PSNR, not instead of it. The networks are those of `feature_networks`; `lattice` needs none.
"""

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.metrics.feature_networks import activations

PROTOCOL = (
    "uint8 RGB, composed (known pixels kept), all in the hole. LP: mean squared difference of unit-normalised features "
    "of SqueezeNet 1.1 or HED's VGG16, unweighted, so not LPIPS. KID: squared kernel distance of hole-pooled features "
    "of SqueezeNet, not of Inception's, so comparable within a table alone. lattice: share of the fine residual "
    "that the position modulo 4, 8 or 16 px explains, less chance. Lower is better, and the original's lattice is best"
)
PERIODS = (4, 8, 16)  # px: those that a decoder's upsampling leaves
KID_TAPS = {"fire5": 7, "fire9": 12}  # layers of SqueezeNet
SIGMA = 3.0  # px: what is finer is the residual
RIM = 2  # px of the hole that are left out: there the known pixels show through the filter
CELLS = 4  # of a period squared, that a hole must have pixels for
STEADY = 0.05  # squared grey levels: the variance that rounding leaves in a flat hole, which is no lattice


def lattice(restored: np.ndarray, masks: np.ndarray, period: int) -> np.ndarray:
    """Share of the residual's variance in the hole that the position modulo the period explains, less chance.

    The residual is the brightness less its Gaussian blur. Its pixels are grouped by row and column modulo the period,
    and the share is epsilon squared of that one-way analysis of variance (Kelley 1935), which is about 0 for a residual
    without a lattice: neighbours that are alike raise it, so that photographs have a little at 16 px.

    Args:
        restored: uint8 NHWC.
        masks: bool NHW, true where it was restored.
        period: px.

    Returns:
        Float N, at most 1; NaN where the hole has too few pixels: fewer than `CELLS` times the period squared, without
        its rim.
    """
    return np.array([_lattice(picture, mask, period) for picture, mask in zip(restored, masks, strict=True)])


def _lattice(picture: np.ndarray, mask: np.ndarray, period: int) -> float:
    inside = cv2.erode(mask.astype(np.uint8), np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)).astype(bool)
    count = int(inside.sum())
    if count < CELLS * period**2:
        return float("nan")
    grey = picture.mean(axis=-1, dtype=np.float32)
    residual = (grey - cv2.GaussianBlur(grey, (0, 0), SIGMA))[inside].astype(np.float64)
    residual -= residual.mean()
    down, across = np.nonzero(inside)
    cell = down % period * period + across % period
    pixels = np.bincount(cell, minlength=period**2)
    sums = np.bincount(cell, residual, minlength=period**2)
    cells = int((pixels > 0).sum())
    total = float((residual**2).sum())
    between = float((sums**2 / np.maximum(pixels, 1)).sum())
    within = (total - between) / max(count - cells, 1)
    return (between - (cells - 1) * within) / (total + STEADY * count)


def unit_features(layers: nn.Sequential, taps: tuple[int, ...], pictures: np.ndarray) -> list[Tensor]:
    """What layers make of pictures (uint8 RGB NHWC), of norm 1 at each position: float NCHW a layer."""
    return [functional.normalize(features) for features in activations(layers, pictures, taps)]


def feature_distance(restored: list[Tensor], targets: list[Tensor], masks: np.ndarray) -> np.ndarray:
    """How far the features of restored pictures lie from those of the originals, in the hole.

    The squares of the differences are added up at each position; that is averaged over positions, by the share of the
    hole in each, and over layers. So far it is LPIPS (Zhang et al. 2018, equation 1) without its learned weights of the
    channels: it is not called LPIPS, and no value of one can be held against the other.

    Args:
        restored: of `unit_features`.
        targets: the same of the undamaged pictures.
        masks: bool NHW, true where it was restored; at least one pixel a picture.

    Returns:
        Float N in [0, 2]; 0 for a perfect match.
    """
    distances = []
    for ours, theirs in zip(restored, targets, strict=True):
        squares = (ours - theirs).square().sum(1)
        share = _share(masks, squares.shape[-2:])
        distances.append((squares * share).sum((1, 2)) / share.sum((1, 2)))
    return torch.stack(distances).mean(0).numpy()


def hole_features(
    layers: nn.Sequential, taps: tuple[int, ...], pictures: np.ndarray, masks: np.ndarray
) -> list[np.ndarray]:
    """The mean of each layer's features (of uint8 RGB NHWC) over the hole (bool NHW, never empty): float NC a layer."""
    pooled = []
    for features in activations(layers, pictures, taps):
        share = _share(masks, features.shape[-2:])[:, None]
        pooled.append(((features * share).sum((2, 3)) / share.sum((2, 3))).numpy())
    return pooled


def _share(masks: np.ndarray, shape: torch.Size) -> Tensor:
    """Of each position of a layer, the share that lies in the hole: float NHW."""
    return functional.adaptive_avg_pool2d(torch.from_numpy(masks).float(), (shape[0], shape[1]))


def kernel_distance(features: np.ndarray, others: np.ndarray) -> float:
    """The squared maximum mean discrepancy of two sets of features, with the kernel (x y / C + 1)^3.

    It is the unbiased estimate that takes pairs (Gretton et al. 2012, equation 4): no picture is compared with its own
    original, which it is like for another reason. As KID (Binkowski et al. 2018) but for the features: here they are
    another network's, pooled over the hole and brought to a root mean square of 1, so no value of KID on Inception's
    can be held against this. FID, which needs a covariance matrix from thousands of pictures, is something else.

    Args:
        features: float NC, not negative, N at least 2.
        others: the same of the originals, in the same order; or of as many other pictures.

    Returns:
        About 0, and as often below it as above, where both are drawn alike; otherwise above. 0 for a perfect match.
    """
    x, y = (each.astype(np.float64) for each in (features, others))
    x, y = (each / np.sqrt(np.square(each).mean(axis=1, keepdims=True)) for each in (x, y))
    among_x, among_y, between = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    pairs = among_x + among_y - between - between.T
    return float((pairs.sum() - np.trace(pairs)) / (len(x) * (len(x) - 1)))
