"""One picture's object in another picture."""

import cv2
import numpy as np
from PIL import Image

from pipeline.inference.restorer import Restorer
from pipeline.runtime.errors import UserError

SEAM = 0.012  # of the object's shorter side, at least 2 px: to each side of its outline, what is restored


def insert(
    restorer: Restorer,
    picture: np.ndarray,
    source: np.ndarray,
    silhouette: np.ndarray,
    at: tuple[int, int],
    scale: float = 1.0,
) -> np.ndarray:
    """Put an object into a picture, and let the generator restore the seam.

    Args:
        restorer: a generator for holes.
        picture: uint8 RGB HW3.
        source: uint8 RGB HW3, the picture with the object, of any size.
        silhouette: bool, height and width of `source`; true on the object.
        at: where the middle of the object's bounding box comes to lie, (x, y) in px of `picture`.
        scale: of the object, 1 for its size in `source`.

    Returns:
        uint8 RGB HW3, equal to `picture` away from the object and its seam.

    Raises:
        UserError: an empty silhouette, or an object that lies outside the picture.
    """
    if not silhouette.any():
        raise UserError("the object's mask is black all over; paint the object white")
    rows, columns = (np.flatnonzero(silhouette.any(axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    size = [max(1, round(scale * side)) for side in silhouette[box].shape]
    shrinking = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    pixels = cv2.resize(np.ascontiguousarray(source[box]), size[::-1], interpolation=shrinking)
    shape = cv2.resize(silhouette[box].astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    corner = at[0] - size[1] // 2, at[1] - size[0] // 2
    pasted, cover = Image.fromarray(picture), Image.new("L", picture.shape[1::-1])
    pasted.paste(Image.fromarray(pixels), corner, Image.fromarray(shape * 255))
    cover.paste(Image.fromarray(shape * 255), corner)
    inside = np.asarray(cover) > 0
    if not inside.any():
        raise UserError(f"the object at {at[0]},{at[1]} lies outside the picture")
    edge = seam(inside, max(2, round(SEAM * min(size))))
    return restorer.restore(np.array(pasted), edge, see_through=False, fidelity=1)


def seam(inside: np.ndarray, width: int) -> np.ndarray:
    """What is within `width` px of a silhouette's outline, on both sides; bool HW."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1,) * 2)
    solid = inside.astype(np.uint8)
    return (cv2.dilate(solid, disc) - cv2.erode(solid, disc, borderValue=1)).astype(bool)
