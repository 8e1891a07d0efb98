"""How well the outline of an object is guessed from a point on it.

    python -m benchmarks.remove

After a download of photographs with annotations: of each photo that has one, the first object of 2 to 30 % of the
picture. The point is the innermost of its silhouette. The mask of the guess is held to the one that the annotation
gives; both have a rim. What GrabCut's reach and seed are was chosen on photos of train2017.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read(command_line.parser("python -m benchmarks.remove", __doc__))

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from pycocotools import mask as coco_mask

from pipeline.datasets import photos
from pipeline.datasets.silhouettes import read
from pipeline.inference import select_object
from pipeline.runtime.errors import UserError, one_line_errors

PHOTOS = Path("data/coco")
LEAST, MOST = 0.02, 0.3  # of the picture: an object's area
DISC = 0.2  # of the shorter side: radius of a disc, which looks at no pixel


def main() -> None:
    """Print the number of photos, and IoU by method."""
    lines = []
    for image, silhouette in cases():
        truth, point = select_object.with_rim(silhouette), innermost(silhouette)
        guesses = {"a disc": disc(truth.shape, point), "GrabCut": select_object.at_point(image, point)}
        lines += [{"method": name, "iou": iou(guess, truth)} for name, guess in guesses.items()]
    if not lines:
        raise UserError(f"{PHOTOS}: no annotated objects of {LEAST:.0%} to {MOST:.0%} of a picture; download MS-COCO")
    found = pd.DataFrame(lines).groupby("method", sort=False)["iou"]
    shares = {
        f"at least {bound}": found.apply(lambda values, bound=bound: (values >= bound).mean()) for bound in (0.5, 0.6)
    }
    print(f"{found.size().iloc[0]} photos; IoU of the guessed mask, and the share of photos where it is")
    print(pd.DataFrame({"mean": found.mean(), "median": found.median()} | shares).to_markdown(floatfmt=".2f"))


def cases() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photos, uint8 RGB HW3, and a silhouette on each, bool HW."""
    silhouettes = read(PHOTOS)
    for photo in photos.index(PHOTOS):
        for silhouette in silhouettes.get(photo.image_id, []):
            height, width = silhouette.rle["size"]
            if LEAST <= silhouette.area / (height * width) <= MOST:
                yield photos.read(PHOTOS, photo), coco_mask.decode(silhouette.rle).astype(bool)
                break


def innermost(silhouette: np.ndarray) -> tuple[int, int]:
    """The point (x, y) that lies furthest from all outside it, the picture's borders included."""
    depth = cv2.distanceTransform(np.pad(silhouette, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    y, x = np.unravel_index(depth[1:-1, 1:-1].argmax(), silhouette.shape)
    return int(x), int(y)


def disc(size: tuple[int, ...], point: tuple[int, int]) -> np.ndarray:
    """A disc around the point, bool HW."""
    drawn = cv2.circle(np.zeros(size, np.uint8), point, round(DISC * min(size)), 1, -1)
    return drawn.astype(bool)


def iou(guess: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks, bool HW."""
    return float((guess & truth).sum() / (guess | truth).sum())


if __name__ == "__main__":
    with one_line_errors():
        main()
