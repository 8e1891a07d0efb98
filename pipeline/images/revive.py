"""A faded photograph gets its contrast back, and loses some of its colour cast: the levels of a picture editor."""

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, section 2.5.1
DARKEST, BRIGHTEST = 0.5, 99.5  # percentiles that become black and white: what is beyond them is clipped
STEEPEST = 3.0  # times the contrast: a picture of fog, or a flat one, is left to be what it is
CAST = 0.5  # of the cast goes by default: by eye, on ten old photos, all of it makes autochromes blue


def revive(pixels: np.ndarray, hole: np.ndarray, cast: float = CAST) -> np.ndarray:
    """Stretch what is between the darkest and the brightest to all there is.

    Args:
        pixels: uint8 or uint16 RGB HW3.
        hole: bool HW, true where the picture is not known: what was filled in there decides nothing. All of it may be.
        cast: 0 to 1. 0 stretches all channels alike, which keeps the hue; 1 each by itself, so that a cast goes, and
            with it the colour of an evening.

    Returns:
        As `pixels`.
    """
    white = np.iinfo(pixels.dtype).max
    known = pixels[~hole] if not hole.all() else pixels.reshape(-1, 3)
    alike = np.percentile(known @ LUMA, (DARKEST, BRIGHTEST))[:, None]
    apart = np.percentile(known, (DARKEST, BRIGHTEST), axis=0)
    darkest, brightest = alike + cast * (apart - alike)
    span, least = brightest - darkest, white / STEEPEST
    middle = (darkest + brightest) / 2
    start = np.where(span < least, middle * (1 - 1 / STEEPEST), darkest)  # which keeps the middle of a flat one
    return ((pixels - start) * (white / np.maximum(span, least))).round().clip(0, white).astype(pixels.dtype)
