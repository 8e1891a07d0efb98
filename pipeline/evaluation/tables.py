"""Tables and means made from the scores that the `scores` of a contest give."""

from itertools import pairwise

import numpy as np
import pandas as pd

from pipeline.corruptions.labels import task_of
from pipeline.evaluation.baselines import BASELINES
from pipeline.metrics.registry import METRICS

AREAS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0]
MARGINS = [0.0, 0.01, 0.02, 0.03, 1.0]
WIDTHS = [0, 2, 4, 8, 16, 32, 2**20]  # px


def trained(scores: pd.DataFrame) -> str:
    """The name of the trained network among the methods: what the others are compared with."""
    return next(name for name in ("gan", "detector", "translator") if name in set(scores.method))


def compared(scores: pd.DataFrame) -> str:
    """What the methods are compared by: PSNR, in dB; F1 of detectors; where no truth is known, what is kept."""
    return next(name for name in ("psnr", "f1", "edges") if name in scores and scores[name].notna().any())


def by_corruption(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean of each metric by corruption and method, with the number of pairs."""
    return _means(scores, ["corruption", "method"])


def side_by_side(means: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One metric of `by_corruption`: a row a corruption, a column a method."""
    return means.pivot(index="corruption", columns="method", values=metric)


def lost(means: pd.DataFrame) -> dict[str, str]:
    """The corruptions on which another method has a higher mean than the trained one, and the best such method."""
    best = side_by_side(means, compared(means)).idxmax(axis=1)
    return best[best != trained(means)].to_dict()


def by_area(scores: pd.DataFrame) -> pd.DataFrame:
    """The same by share of the picture that is missing, of the pairs where some is."""
    holes = scores[scores.corruption.map(task_of) == "restore"]
    area = pd.cut(holes.hole_area, AREAS, labels=_in_percent(AREAS))
    return _means(holes.assign(hole_area=area), ["hole_area", "method"])


def by_margin(scores: pd.DataFrame) -> pd.DataFrame:
    """The same by how far the mask reaches beyond the damage, as a share of the side; `none` where it fits exactly."""
    margin = pd.cut(scores.margin, [-1.0, *MARGINS], labels=["none", *_in_percent(MARGINS)])
    return _means(scores.assign(margin=margin), ["margin", "method"])


def by_width(scores: pd.DataFrame) -> pd.DataFrame:
    """The same by the width of the mask where it is widest, in px, of the pairs with a hole."""
    holes = scores[scores.corruption.map(task_of) == "restore"]
    labels = [f"{low}-{high} px" for low, high in pairwise(WIDTHS[:-1])]
    width = pd.cut(holes.width, WIDTHS, labels=[*labels, f"above {WIDTHS[-2]} px"])
    return _means(holes.assign(width=width), ["width", "method"])


def _in_percent(bounds: list[float]) -> list[str]:
    return [f"{100 * low:.0f}-{100 * high:.0f} %" for low, high in pairwise(bounds)]


def summary(scores: pd.DataFrame) -> dict:
    """The trained network's means, overall and by corruption, and by how much it is above each other method.

    A gain is the mean over the pairs that the method was applied to of the network's PSNR (or F1) minus the method's.
    """
    own, metrics = scores[scores.method == trained(scores)], _metrics(scores)
    return {
        "pairs": len(own),
        **own[metrics].mean().round(4).to_dict(),
        f"gain_{compared(scores)}": gains(scores).mean().round(4).to_dict(),
        **own.groupby("corruption")[metrics].mean().round(4).to_dict("index"),
    }


def of_the_gan(perceptual: pd.DataFrame) -> dict:
    """The trained network's line of `Holes.table` or `Likeness.table`, for the summary; empty where there is none."""
    own = perceptual[perceptual.method.isin(["gan", "translator"])].drop(columns=["method", "pairs"])
    return {"perceptual": own.iloc[0].dropna().to_dict()} if len(own) else {}


def headline(scores: pd.DataFrame) -> dict[str, float]:
    """The numbers to look at first: the GAN's mean `psnr` (dB) and `ssim`, and its `gain` (dB); a detector's F1 and AP.

    Of translations without a known truth it is `edges`.

    The gain is the mean over all pairs of the GAN's PSNR minus that of the strongest classical method: of a task's,
    the one with the best mean PSNR on its pairs. It is chosen once a task, as without the original no one could choose
    it for each picture.
    """
    own = scores[scores.method == trained(scores)]
    if compared(scores) == "f1":
        return own[["f1", "ap"]].mean().round(4).to_dict()
    if compared(scores) == "edges":
        return own[["edges"]].mean().round(4).to_dict()
    above = gains(scores)
    strongest = (
        above.mean().groupby([BASELINES[name].task if name in BASELINES else "translate" for name in above]).idxmin()
    )
    return {**own[["psnr", "ssim"]].mean().round(4).to_dict(), "gain": round(float(np.nanmean(above[strongest])), 4)}


def gains(scores: pd.DataFrame) -> pd.DataFrame:
    """The network's PSNR (or F1) minus each other method's: a row a pair, a column a method, NaN where not applied."""
    values = scores.pivot(index=["image_id", "variant"], columns="method", values=compared(scores))
    own = trained(scores)
    return values.rsub(values[own], axis=0).drop(columns=own)


def _metrics(scores: pd.DataFrame) -> list[str]:
    return [name for name in METRICS if name in scores]


def _means(scores: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    groups = scores.groupby(keys, observed=True, sort=True)
    return groups[_metrics(scores)].mean().round(4).assign(pairs=groups.size()).reset_index()
