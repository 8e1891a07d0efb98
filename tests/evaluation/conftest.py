import numpy as np
import pytest

from pipeline.corruptions import lowres
from pipeline.datasets import pairs
from pipeline.evaluation.baselines import mean_fill
from pipeline.evaluation.comparison import Comparison


@pytest.fixture(autouse=True)
def one_worker(monkeypatch):
    monkeypatch.setenv("MENDLINE_WORKERS", "1")


@pytest.fixture
def comparison(tmp_path) -> Comparison:
    """Two pairs with a hole of a quarter and one of low resolution; the "GAN" is mean fill, or does nothing."""

    def made():
        for number, kind in enumerate(["stain", "stain", "lowres_x2"]):
            rng = np.random.default_rng(number)
            target = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            mask = np.zeros((32, 32), bool)
            mask[:16, :16] = True
            corrupted = np.where(mask[..., None], target // 2, target)
            if kind == "lowres_x2":
                corrupted, mask = lowres.corrupt(target, 2)
            encoded = [pairs.encode(picture) for picture in (target, corrupted, mask.astype(np.uint8) * 255)]
            yield pairs.Pair(
                number, 0, kind, number, float(mask.mean()), 0.01 * number if kind == "stain" else np.nan, *encoded
            )

    pairs.write(tmp_path / "pairs", "test", made())
    store = pairs.Pairs(tmp_path / "pairs", "test")
    return Comparison(
        store, lambda given: given.image if given.mask.all() else mean_fill(given.image, given.mask), radius=3
    )
