"""What a person looks at: restorations or detections side by side, the best and the worst of them, and bars."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image

from pipeline.evaluation import comparison, detections, tables, translations
from pipeline.images.grid import evenly_spaced, image_grid
from pipeline.metrics import detection, image_quality
from pipeline.metrics.registry import METRICS


class Contest(Protocol):
    """`Comparison`, `Detections` or `Translations`."""

    labels: list[str]

    def pictures(self, index: int) -> list[np.ndarray]:
        """What to show of a pair."""


@dataclass(frozen=True)
class Looks:
    """How a kind of contest is drawn.

    Attributes:
        titles: of the pictures.
        beside: the methods that the trained one is held against in the labels, one of them for each pair.
        bars: the metrics that are drawn as bars.
        gain: how a gain is written.
        labels: of the methods.
        protocol: how they are measured.
        verdict: of the headline.
    """

    titles: list[str]
    beside: list[str]
    bars: tuple[str, ...]
    gain: str
    labels: dict[str, str]
    protocol: str
    verdict: str


RESTORED = Looks(
    titles=comparison.TITLES,
    beside=[*comparison.BESIDE.values()],
    bars=("psnr", "ssim"),
    gain="{:+.1f} dB",
    labels=comparison.LABELS,
    protocol=image_quality.PROTOCOL,
    verdict="GAN: {gain:+.2f} dB over the strongest classical methods",
)
FOUND = Looks(
    titles=detections.TITLES,
    beside=[detections.BESIDE],
    bars=("f1", "ap"),
    gain="{:+.2f}",
    labels=detections.LABELS,
    protocol=detection.PROTOCOL,
    verdict="detector: F1 {f1:.3f}, AP {ap:.3f}",
)
TRANSLATED = Looks(
    titles=translations.TITLES,
    beside=[translations.BESIDE],
    bars=("psnr", "ssim"),
    gain="{:+.1f} dB",
    labels=translations.LABELS,
    protocol=translations.PROTOCOL,
    verdict="translator: {gain:+.2f} dB over the strongest classical method",
)
WITHOUT_TRUTH = replace(
    TRANSLATED,
    bars=("edges",),
    gain="{:+.2f}",
    verdict="translator: {edges:.3f} of the input's edges kept; how like the second domain it looks: "
    "metrics/perceptual.csv",
)


def grid(contest: Contest, table: pd.DataFrame, looks: Looks, rows: int) -> Image.Image:
    """Test pairs of each corruption: corrupted, its task's classical method, the trained one, and the truth."""
    groups = _by_pair(table, tables.trained(table)).groupby("corruption").groups.values()
    each = max(1, rows // len(groups))
    chosen = [index for group in groups for index in evenly_spaced(list(group), each)]
    return side_by_side(contest, chosen[:rows], table, looks)


def cases(contest: Contest, table: pd.DataFrame, looks: Looks, rows: int) -> Image.Image:
    """The pairs where the trained network gains most, then those where it loses most or gains least."""
    gain = _gain(table, looks).sort_values(ascending=False, kind="stable")
    half = max(1, min(rows, len(gain)) // 2)
    return side_by_side(contest, [*gain.index[:half], *gain.index[-half:]], table, looks)


def bars(by_corruption: pd.DataFrame, looks: Looks) -> plt.Figure:
    """A metric or two of every method, by corruption."""
    count = len(looks.bars)
    figure, axes = plt.subplots(count, 1, figsize=(10, 3.5 * count), layout="constrained", sharex=True, squeeze=False)
    for axis, metric in zip(axes[:, 0], looks.bars, strict=True):
        means = tables.side_by_side(by_corruption, metric)
        means = means[[name for name in looks.labels if name in means]].rename(columns=looks.labels)
        means.plot.bar(ax=axis, rot=0, width=0.85, legend=False, xlabel="", colormap="viridis_r")
        lowest, highest = np.nanmin(means.to_numpy()), np.nanmax(means.to_numpy())
        axis.set(ylabel=METRICS[metric].title, ylim=(lowest - 0.15 * (highest - lowest), None))
        axis.grid(axis="y", alpha=0.3)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=-(-len(names) // 2))
    figure.supxlabel(looks.protocol, fontsize=7, wrap=True)
    return figure


def side_by_side(contest: Contest, indices: list[int], table: pd.DataFrame, looks: Looks) -> Image.Image:
    """These test pairs, labelled with the corruption and what the network gains over the method beside it."""
    gain = _gain(table, looks)
    labels = [f"{contest.labels[index]} {looks.gain.format(gain[index])}" for index in indices]
    return image_grid([contest.pictures(index) for index in indices], looks.titles, labels)


def _by_pair(table: pd.DataFrame, *methods: str) -> pd.DataFrame:
    """The lines of one of the methods, numbered as the pairs are."""
    return table[table.method.isin(methods)].reset_index(drop=True)


def _gain(table: pd.DataFrame, looks: Looks) -> pd.Series:
    metric = tables.compared(table)
    return _by_pair(table, tables.trained(table))[metric] - _by_pair(table, *looks.beside)[metric]


def save(figure: plt.Figure, path: Path) -> None:
    """As PNG, without the time and version that would make its bytes differ."""
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)
