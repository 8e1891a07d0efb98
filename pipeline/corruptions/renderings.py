"""Renderings of a photo by classical filters, by name: what a translator can learn to draw, with the truth known."""

from collections.abc import Callable

import cv2
import numpy as np

BORDER = 32  # px of the mirrored picture around it: at their border the filters leave a bright frame
REACH, RANGE, SHADE = 10.0, 0.2, 0.08  # of pencils, by eye, at 128 px: lines, and white between them
PAINT_REACH, PAINT_RANGE = 20.0, 0.3


def pencil(bgr: np.ndarray) -> np.ndarray:
    """Coloured pencils: the domain transform of Gastal and Oliveira 2011, section 7, as OpenCV has it."""
    return np.asarray(cv2.pencilSketch(bgr, sigma_s=REACH, sigma_r=RANGE, shade_factor=SHADE)[1])


def sketch(bgr: np.ndarray) -> np.ndarray:
    """The same in grey."""
    grey = cv2.pencilSketch(bgr, sigma_s=REACH, sigma_r=RANGE, shade_factor=SHADE)[0]
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))


def painting(bgr: np.ndarray) -> np.ndarray:
    """Flat colours between dark outlines: stylization, from the same paper."""
    return np.asarray(cv2.stylization(bgr, sigma_s=PAINT_REACH, sigma_r=PAINT_RANGE))


RENDERINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"pencil": pencil, "sketch": sketch, "painting": painting}
"""uint8 BGR HWC -> the same, rendered."""


def render(name: str, image: np.ndarray) -> np.ndarray:
    """A picture, uint8 RGB HWC, in one of `RENDERINGS`; the same without a bright frame at its border."""
    height, width = image.shape[:2]
    bgr = cv2.copyMakeBorder(image[..., ::-1], BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REFLECT)
    rendered = RENDERINGS[name](np.asarray(bgr))[BORDER : BORDER + height, BORDER : BORDER + width, ::-1]
    return np.ascontiguousarray(rendered)
