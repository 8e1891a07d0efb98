"""An object was cut out: the silhouette of a COCO instance."""

import cv2
import numpy as np

from pipeline.datasets.silhouettes import Silhouette
from pipeline.params import Corrupt, Object

DIGITS = 9  # of a pixel's cover: the same on all processors, where exactly a half is common


def corrupt(
    image: np.ndarray, rng: np.random.Generator, params: Object, silhouette: Silhouette
) -> tuple[np.ndarray, np.ndarray]:
    """Fill a silhouette, moved, scaled and whole inside the picture, with one colour.

    Args:
        image: uint8 RGB HWC.
        rng: draws scale, place and colour.
        params: `scale`, size as a share of the picture's shorter side, relative to that share in the silhouette's
            own photo; and `area`, as a share of the picture's, kept but for the rounding to whole pixels.
        silhouette: one that `fits`.

    Returns:
        uint8 RGB HWC, and bool HW, true where the object was.
    """
    height, width = image.shape[:2]
    zoom = rng.uniform(*_zoom_range(silhouette, params, height, width))
    box_height, box_width = (max(1, int(side * zoom)) for side in silhouette.box)
    shape = silhouette.shape().astype(float)
    cover = cv2.resize(shape, (box_width, box_height), interpolation=cv2.INTER_AREA).round(DIGITS)
    top, left = rng.integers(height - box_height + 1), rng.integers(width - box_width + 1)
    mask = np.zeros((height, width), bool)
    mask[top : top + box_height, left : left + box_width] = cover >= min(0.5, cover.max())
    corrupted = image.copy()
    corrupted[mask] = rng.integers(256, size=3)
    return corrupted, mask


def fits(silhouette: Silhouette, params: Object, height: int, width: int) -> bool:
    """Whether some scale of `params` gives an area of `params`, whole inside a picture of this size in px."""
    least, most = _zoom_range(silhouette, params, height, width)
    return least <= most


def cap_area(params: Corrupt) -> Corrupt:
    """`params` with `object.area` below `max_hole`, so that no silhouette is chosen that could never fit."""
    least, most = params.object.area
    area = [least, min(most, 0.9 * params.max_hole)]  # the tenth is for the rounding to whole pixels
    return params.model_copy(update={"object": params.object.model_copy(update={"area": area})})


def _zoom_range(silhouette: Silhouette, params: Object, height: int, width: int) -> tuple[float, float]:
    """The least and the most that the silhouette's pixels may be zoomed by; the least first only where it fits."""
    own = min(height, width) / silhouette.side
    least, most = (np.sqrt(share * height * width / silhouette.area) for share in params.area)
    inside = min(height / silhouette.box[0], width / silhouette.box[1])
    return max(least, own * params.scale[0]), min(most, own * params.scale[1], inside)
