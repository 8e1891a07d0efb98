"""What a person looks at: restorations side by side, the best and the worst of them, and bars."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image

from pipeline.corruptions.labels import task_of
from pipeline.evaluation import tables
from pipeline.evaluation.baselines import BASELINES
from pipeline.evaluation.comparison import Comparison
from pipeline.images.grid import evenly_spaced, image_grid
from pipeline.metrics.image_quality import PROTOCOL
from pipeline.metrics.registry import METRICS
from pipeline.tasks import TASKS

SHOWN = {task: each.baseline for task, each in TASKS.items()}  # beside the GAN, by task
COLUMNS = ["corrupted", " / ".join(BASELINES[name].label for name in SHOWN.values()), "GAN", "original"]
LABELS = {name: baseline.label for name, baseline in BASELINES.items()} | {"gan": "GAN"}


def grid(comparison: Comparison, table: pd.DataFrame, rows: int) -> Image.Image:
    """Test pairs of each corruption: corrupted, its task's baseline, GAN, original."""
    groups = _by_pair(table, "gan").groupby("corruption").groups.values()
    each = max(1, rows // len(groups))
    chosen = [index for group in groups for index in evenly_spaced(list(group), each)]
    return side_by_side(comparison, chosen[:rows], table)


def cases(comparison: Comparison, table: pd.DataFrame, rows: int) -> Image.Image:
    """The pairs where the GAN gains most over its task's baseline, then those where it loses most or gains least."""
    gain = _gain(table).sort_values(ascending=False, kind="stable")
    half = max(1, min(rows, len(gain)) // 2)
    return side_by_side(comparison, [*gain.index[:half], *gain.index[-half:]], table)


def bars(by_corruption: pd.DataFrame) -> plt.Figure:
    """PSNR and SSIM of every method, by corruption."""
    figure, axes = plt.subplots(2, 1, figsize=(10, 7), layout="constrained", sharex=True)
    for axis, metric in zip(axes, ("psnr", "ssim"), strict=True):
        means = tables.side_by_side(by_corruption, metric)
        means = means[[name for name in LABELS if name in means]].rename(columns=LABELS)
        means.plot.bar(ax=axis, rot=0, width=0.85, legend=False, xlabel="", colormap="viridis_r")
        lowest, highest = np.nanmin(means.to_numpy()), np.nanmax(means.to_numpy())
        axis.set(ylabel=METRICS[metric].title, ylim=(lowest - 0.15 * (highest - lowest), None))
        axis.grid(axis="y", alpha=0.3)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=-(-len(names) // 2))
    figure.supxlabel(PROTOCOL, fontsize=7, wrap=True)
    return figure


def side_by_side(comparison: Comparison, indices: list[int], table: pd.DataFrame) -> Image.Image:
    """These test pairs, labelled with the corruption and what the GAN gains over its task's baseline."""
    gain, gan = _gain(table), _by_pair(table, "gan")
    pictures, labels = [], []
    for index in indices:
        target, image, _ = comparison.pairs.pictures(index)
        restored = comparison.restorations(index)
        pictures.append([image, restored[SHOWN[task_of(gan.corruption[index])]], restored["gan"], target])
        labels.append(f"{gan.corruption[index]} {gain[index]:+.1f} dB")
    return image_grid(pictures, COLUMNS, labels)


def _by_pair(table: pd.DataFrame, *methods: str) -> pd.DataFrame:
    """The lines of one of the methods, numbered as the pairs are."""
    return table[table.method.isin(methods)].reset_index(drop=True)


def _gain(table: pd.DataFrame) -> pd.Series:
    return _by_pair(table, "gan").psnr - _by_pair(table, *SHOWN.values()).psnr


def save(figure: plt.Figure, path: Path) -> None:
    """As PNG, without the time and version that would make its bytes differ."""
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)
