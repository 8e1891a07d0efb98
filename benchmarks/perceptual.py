"""What the eye would say of two models: detail, LPIPS and FID beside PSNR and SSIM, on the test pairs with a hole.

    python -m benchmarks.perceptual models/restore data/model --figure docs/adversarial.png

The figure shows some holes of photos that may be shown, at twice their size, and has its credits beside it. All that
after a run of the pipeline. LPIPS and FID need torchmetrics' image extra (`pip install 'torchmetrics[image]'`
torchvision) and networks that these load from the internet; without them the columns are left out and it says so.
"""

from pathlib import Path

from pipeline.runtime import command_line

if __name__ == "__main__":
    parser = command_line.parser("python -m benchmarks.perceptual", __doc__)
    parser.add_argument("models", type=Path, nargs="+", help="model folders")
    parser.add_argument("--figure", type=Path, help="the PNG file to write it to")
    options = command_line.read(parser)

import sys

import numpy as np
import pandas as pd
import torch

from benchmarks.showcase import FREE, credits_of
from pipeline.datasets.pairs import Pairs
from pipeline.images import grid
from pipeline.metrics.image_quality import scores
from pipeline.metrics.registry import METRICS
from pipeline.networks import device, weights
from pipeline.runtime.errors import one_line_errors

BATCH = 16
SHOWN, SIDE = 8, 64  # holes in the figure, and px of each


def main(folders: list[Path], figure: Path | None) -> None:
    """Print a line for each model, and write the figure."""
    pairs = Pairs(Path("data/pairs"), "test")
    rows = [row for row, kind in enumerate(pairs.column("corruption")) if not kind.startswith("lowres")]
    targets, images, masks = (np.stack(column) for column in zip(*map(pairs.pictures, rows), strict=True))
    lines, columns = [], [images]
    for folder in folders:
        generator = weights.load(folder, device.resolve_device())
        restored = np.concatenate(
            [
                weights.restore(generator, images[i : i + BATCH], masks[i : i + BATCH])
                for i in range(0, len(rows), BATCH)
            ]
        )
        columns.append(restored)
        values = scores(restored, targets, masks)
        line: dict[str, str | float] = {"model": str(folder)}
        line.update({name: float(values[name].mean()) for name in METRICS})
        line.update(learned(restored, targets), detail=detail(restored, targets, masks))
        lines.append(line)
    print(f"{len(rows)} test pairs; detail: gradient in the hole over the original's, 1 is as sharp")
    print(pd.DataFrame(lines).to_markdown(index=False, floatfmt=".4f"))
    if figure:
        license_ = pd.read_csv("data/coco/manifest.csv").set_index("image_id").license
        image_ids = pairs.column("image_id")
        free = [i for i, row in enumerate(rows) if license_[image_ids[row]] in FREE and masks[i].mean() > 0.1]
        chosen = grid.evenly_spaced(free, SHOWN)
        titles = ["corrupted", *(folder.name for folder in folders), "original"]
        shown = [[enlarged(c[i], masks[i]) for c in (*columns, targets)] for i in chosen]
        grid.image_grid(shown, titles).save(figure)
        credits_ = credits_of([image_ids[rows[i]] for i in chosen], figure.name)
        figure.with_name(f"{figure.stem}-credits.md").write_text(credits_)


def enlarged(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The square at the middle of the hole, at twice its size."""
    top, left = (
        int(np.clip(np.flatnonzero(mask.any(axis)).mean() - SIDE / 2, 0, mask.shape[1 - axis] - SIDE))
        for axis in (1, 0)
    )
    return picture[top : top + SIDE, left : left + SIDE].repeat(2, axis=0).repeat(2, axis=1)


def detail(restored: np.ndarray, targets: np.ndarray, masks: np.ndarray) -> float:
    """Mean length of the brightness's gradient inside the holes, over that of the originals (uint8 NHWC, bool NHW)."""
    return float(steepness(restored)[masks].mean() / steepness(targets)[masks].mean())


def steepness(pictures: np.ndarray) -> np.ndarray:
    """Length of the gradient of the brightness, float NHW."""
    down, across = np.gradient(pictures.mean(axis=-1), axis=(1, 2))
    return np.hypot(down, across)


def learned(restored: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """LPIPS (Zhang et al. 2018, AlexNet) and FID (Heusel et al. 2017), lower is better, where they can be had."""
    tensors = [torch.from_numpy(pictures).permute(0, 3, 1, 2) for pictures in (restored, targets)]
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        distance = LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
        frechet = FrechetInceptionDistance()
        for first in range(0, len(restored), BATCH):
            ours, theirs = (tensor[first : first + BATCH] for tensor in tensors)
            distance.update(ours.float() / 255, theirs.float() / 255)
            frechet.update(ours, real=False)
            frechet.update(theirs, real=True)
    except (ImportError, OSError, RuntimeError) as error:
        print(f"without LPIPS and FID: {str(error).splitlines()[0]}", file=sys.stderr)
        return {}
    return {"lpips": distance.compute().item(), "fid": frechet.compute().item()}


if __name__ == "__main__":
    with one_line_errors():
        main(options.models, options.figure)
