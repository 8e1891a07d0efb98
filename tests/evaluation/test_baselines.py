import numpy as np
import pytest

from pipeline.evaluation.baselines import for_holes


@pytest.mark.parametrize("name", for_holes(3))
def test_a_baseline_keeps_known_pixels_and_fills_a_flat_picture(name):
    image = np.full((24, 31, 3), 90, np.uint8)
    mask = np.zeros((24, 31), bool)
    mask[5:15, 8:20] = True
    image[mask] = 255
    restored = for_holes(3)[name](image, mask)
    assert restored.shape == image.shape
    assert restored.dtype == np.uint8
    assert np.array_equal(restored[~mask], image[~mask])
    if name != "untouched":
        assert np.abs(restored[mask].astype(int) - 90).max() <= 3
