import cv2
import numpy as np
import pytest

from pipeline.corruptions import freeform

from .made import PARAMS

RED = np.full((96, 128, 3), (180, 20, 20), np.uint8)


def painted(seed, **update):
    return freeform.corrupt(RED, np.random.default_rng(seed), PARAMS.freeform.model_copy(update=update))


def test_strokes_are_white_or_grey():
    fills = {tuple(color) for seed in range(20) for color in np.unique(np.vstack(painted(seed)[0]), axis=0).tolist()}
    assert fills == {(180, 20, 20), (128, 128, 128), (255, 255, 255)}


@pytest.mark.parametrize("seed", range(6))
def test_a_stroke_is_in_one_piece(seed):
    _, mask = painted(seed, count=[1, 1])
    pieces, _ = cv2.connectedComponents(mask.astype(np.uint8))
    assert pieces == 2  # the background and the stroke


def test_a_stroke_is_as_wide_as_asked():
    def half_width(seed, width):
        _, mask = painted(seed, count=[1, 1], vertices=[4, 4], width=[width, width])
        return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5).max()

    thin, thick = (np.median([half_width(seed, width) for seed in range(15)]) for width in (0.04, 0.16))
    assert 2 <= thin <= 5  # turns overlap
    assert 7.5 <= thick <= 16


def test_more_turns_paint_more():
    few, many = (np.mean([painted(seed, vertices=[n, n])[1].mean() for seed in range(20)]) for n in (2, 12))
    assert many > 2 * few
