"""Scores of every method on the test pairs, and the tables made from them."""

from itertools import pairwise

import numpy as np
import pandas as pd

from pipeline.corruptions import lowres
from pipeline.datasets.pairs import Pairs
from pipeline.evaluation.baselines import Restoration, enlarged, for_holes
from pipeline.metrics.image_quality import scores
from pipeline.runtime import progress

METRICS = ["psnr", "ssim", "psnr_hole", "ssim_hole"]
AREAS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0]


class Comparison:
    """The generator and the classical methods, restoring the same pairs.

    Args:
        pairs: the test pairs.
        gan: the generator, as a method on one picture.
        radius: of Telea and Navier-Stokes, in px.
    """

    def __init__(self, pairs: Pairs, gan: Restoration, radius: int) -> None:
        self.pairs, self.gan = pairs, gan
        self.kinds = pairs.column("corruption")
        self.hole_methods = for_holes(radius)

    def restorations(self, row: int) -> dict[str, np.ndarray]:
        """What each method makes of a pair, by name: uint8 HWC."""
        target, image, mask = self.pairs.pictures(row)
        if self.kinds[row].startswith(lowres.NAME):
            classical = enlarged(target, lowres.factor_of(self.kinds[row]))
        else:
            classical = {name: restore(image, mask) for name, restore in self.hole_methods.items()}
        return classical | {"gan": self.gan(image, mask)}

    def scores(self) -> pd.DataFrame:
        """A line for each pair and method: image_id, variant, corruption, hole_area, method and the metrics."""
        keys = pd.DataFrame(
            {name: self.pairs.column(name) for name in ("image_id", "variant", "corruption", "hole_area")}
        )
        tables = []
        for row in progress.bar(range(len(self.pairs)), "evaluate", len(self.pairs), "pair"):
            target, _, mask = self.pairs.pictures(row)
            restored = self.restorations(row)
            count = len(restored)
            values = scores(np.stack(list(restored.values())), np.stack([target] * count), np.stack([mask] * count))
            lines = keys.loc[[row] * count].reset_index(drop=True)
            tables.append(lines.assign(method=list(restored), **values))
        return pd.concat(tables, ignore_index=True).astype(dict.fromkeys(METRICS, float))


def by_corruption(table: pd.DataFrame) -> pd.DataFrame:
    """Mean of each metric by corruption and method, with the number of pairs."""
    return _means(table, ["corruption", "method"])


def side_by_side(means: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One metric of `by_corruption`: a row a corruption, a column a method."""
    return means.pivot(index="corruption", columns="method", values=metric)


def by_area(table: pd.DataFrame) -> pd.DataFrame:
    """The same by share of the picture that is missing; `lowres`, where nothing is, left out."""
    holes = table[~table.corruption.str.startswith(lowres.NAME)]
    percent = [f"{100 * low:.0f}-{100 * high:.0f} %" for low, high in pairwise(AREAS)]
    area = pd.cut(holes.hole_area, AREAS, labels=percent)
    return _means(holes.assign(hole_area=area), ["hole_area", "method"])


def summary(table: pd.DataFrame) -> dict:
    """The GAN's means, overall and by corruption, and by how many dB it is above each other method.

    A gain is the mean over the pairs that the method was applied to of the GAN's PSNR minus the method's.
    """
    gan = table[table.method == "gan"]
    psnr = table.pivot(index=["image_id", "variant"], columns="method", values="psnr")
    gains = (psnr.rsub(psnr.gan, axis=0)).mean().drop("gan")
    return {
        "pairs": len(gan),
        **gan[METRICS].mean().round(4).to_dict(),
        "gain_psnr": gains.round(4).to_dict(),
        **gan.groupby("corruption")[METRICS].mean().round(4).to_dict("index"),
    }


def _means(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    groups = table.groupby(keys, observed=True, sort=True)
    return groups[METRICS].mean().round(4).assign(pairs=groups.size()).reset_index()
