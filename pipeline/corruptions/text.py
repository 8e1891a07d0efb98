"""Something is written over it: a date, a caption; in opaque ink."""

import string

import cv2
import numpy as np

from pipeline.corruptions import strokes
from pipeline.corruptions.uniform import draw_amount, draw_count
from pipeline.params import Lettering

FONTS = [  # OpenCV's own, drawn in whole numbers: the same pixels everywhere
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
]
CAPITAL = 21  # px: height of a capital of these fonts at scale 1
LETTERS = list(string.ascii_letters + string.digits + " .,:-")


def corrupt(image: np.ndarray, rng: np.random.Generator, params: Lettering) -> tuple[np.ndarray, np.ndarray]:
    """Write lines of random letters over the picture, black, white or in any colour.

    Args:
        image: uint8 RGB HWC.
        rng: draws number, letters, font, height, strength and place of the lines, and the colour.
        params: number of lines, and height of a capital as a share of the shorter side; none is below 4 px.

    Returns:
        uint8 RGB HWC, and bool HW, true where a letter touches a pixel.
    """
    size = image.shape[:2]
    drawn = strokes.canvas(size)
    for _ in range(draw_count(rng, params.count)):
        height = strokes.FINE * max(4, min(size) * draw_amount(rng, params.height))
        words = "X" + "".join(rng.choice(LETTERS, rng.integers(2, 20)))
        corner = strokes.on_canvas(rng.uniform((0, 0.1 * size[0]), (0.6 * size[1], size[0])))
        thickness = max(1, round(height * rng.uniform(0.06, 0.2)))
        font = FONTS[rng.integers(len(FONTS))]
        cv2.putText(drawn, words, corner.tolist(), font, height / CAPITAL, 255, thickness)
    ink = rng.integers(256, size=3) if rng.random() < 0.5 else np.full(3, 255 * rng.integers(2))
    return strokes.paint(image, strokes.cover(drawn), ink)
