"""Whether anything of the picture shines through what covers it: judged from the picture, region by region of a hole.

A translucent cover, such as a stain, weakens the detail under it and adds none of its own. So a region is looked
through where its detail is weaker than that around it, but not gone. An opaque cover breaks one of the two: a sheet of
one colour is flat, and where the hole reaches beyond a cover, its edges are stronger than the picture's. The more of
a region is flat, the weaker the rest must be.

The constants are those that lost least against the better of looking everywhere and nowhere, on 89 photos of COCO's
val split at 256 px, with masks that fit and masks 2, 4 and 8 px wider; `benchmarks/repair.py` measures on others.
"""

import cv2
import numpy as np

FINE = 3  # px: detail is what differs from the mean of such a square
AROUND = 20  # px: so far beyond a region reaches what it is compared with
REACH = 2 * AROUND  # px: so far beyond a region reaches what decides which pixels are compared with it
NOISE = 1 / 255  # detail that rounding and JPEG make
FAINT = 0.1  # of the detail around: a pixel with less is flat
WEAKENED = 0.6  # of the detail around: by so much less may a region have where all of it is flat
GONE = 0.9  # share of flat pixels; above, a region shows nothing of the picture


def find_opaque(image: np.ndarray, region: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Whether nothing of the picture shines through a region; what is further than `REACH` px from it has no say.

    Args:
        image: float32 HW3 in [0, 1].
        region: int32 HW, the regions of the hole by number from 1 on; 0 where the picture is known, and in regions that
            are not judged. What is connected, by corners too, is one region.
        hole: bool HW, true where to restore.

    Returns:
        bool, by the number of the region; false for 0.
    """
    beside = surroundings(region, hole)
    near = region + beside
    detail = np.where(hole, differences(image, hole), differences(image, ~hole))
    inside = np.sqrt(means(np.square(detail), region, near))
    around = np.sqrt(means(np.square(detail), beside, near))
    flat = means(detail < FAINT * around[near], region, near)
    own = inside > around * (1 - WEAKENED * flat) + NOISE
    return (own | (flat > GONE)) & (np.arange(len(own)) > 0)


def surroundings(region: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The region that each known pixel lies beside, the nearest; 0 where none is within `AROUND` px, and in holes."""
    known = (~hole).astype(np.uint8)
    distance, nearest = cv2.distanceTransformWithLabels(known, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    region_of = np.zeros(nearest.max() + 1, region.dtype)
    region_of[nearest[hole]] = region[hole]
    return np.where(hole | (distance > AROUND), 0, region_of[nearest])


def differences(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """How far each pixel is from the mean of the `FINE` px square around it, of which only what is inside counts.

    Of the channels, the largest; float32 HW, without meaning outside.
    """
    weight = inside.astype(np.float32)
    square, border = (FINE, FINE), cv2.BORDER_CONSTANT
    count = cv2.blur(weight, square, borderType=border)
    mean = cv2.blur(image * weight[..., None], square, borderType=border) / np.maximum(count, 1e-6)[..., None]
    return np.abs(image - mean).max(axis=-1)


def means(values: np.ndarray, region: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The mean of each region, that of all that is near it counting as one pixel more; float64, by number."""
    total, size = sums(values, near)
    one = total / np.maximum(size, 1)
    total, size = sums(values, region, len(one))
    return (total + one) / (size + 1)


def sums(values: np.ndarray, region: np.ndarray, count: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The sum over each region and its size in px, both by number."""
    return np.bincount(region.ravel(), values.ravel(), count), np.bincount(region.ravel(), minlength=count)
