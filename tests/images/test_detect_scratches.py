import cv2
import numpy as np
import pytest

from pipeline.images.detect_scratches import detect


def wall(height: int = 240, width: int = 320) -> np.ndarray:
    """A picture with soft shading and a little grain."""
    y, x = np.mgrid[:height, :width]
    shade = 110 + 60 * np.sin(x / 90) * np.cos(y / 70)
    grain = np.random.default_rng(0).normal(0, 3, (height, width))
    return np.stack([shade + grain] * 3, axis=-1).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("tone", [0, 255])
@pytest.mark.parametrize("scale", [1, 6])
def test_a_thin_line_and_a_speck_are_proposed(tone, scale):
    image, truth = wall(), np.zeros((240, 320), np.uint8)
    cv2.polylines(truth, [np.array([[20, 30], [150, 90], [290, 100]])], isClosed=False, color=1, thickness=2)
    cv2.circle(truth, (60, 190), 1, 1, -1)
    image[truth > 0] = tone
    if scale > 1:
        image, truth = (np.repeat(np.repeat(array, scale, 0), scale, 1) for array in (image, truth))
    found, near = detect(image), cv2.dilate(truth, np.ones((5 * scale + 4,) * 2, np.uint8)) > 0
    assert found[truth > 0].mean() > 0.9
    assert found[~near].mean() < 0.005


def test_a_sound_picture_gets_no_proposal():
    assert detect(wall()).mean() < 0.002


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (2000, 7), (1, 3000), (40_000, 3)])
def test_any_size_will_do(size):
    assert detect(np.zeros((*size, 3), np.uint8)).shape == size
