"""What the tests of the corruptions share: the parameters, pictures, generators and a silhouette."""

from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from pipeline.datasets.silhouettes import Silhouette
from pipeline.params import load

PARAMS = load(Path(__file__).parents[2] / "params.yaml").corrupt


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng([height, width]).integers(256, size=(height, width, 3), dtype=np.uint8)


def disc(radius: int = 50, side: int = 200) -> Silhouette:
    y, x = np.ogrid[:side, :side]
    shape = (y - side // 2) ** 2 + (x - side // 2) ** 2 <= radius**2
    rle = coco_mask.encode(np.asfortranarray(shape.astype(np.uint8)))
    return Silhouette(rle, side, int(shape.sum()), (2 * radius + 1, 2 * radius + 1))


sides = st.integers(16, 90)
pictures = st.builds(picture, sides, sides)
seeds = st.integers(0, 2**32 - 1)
