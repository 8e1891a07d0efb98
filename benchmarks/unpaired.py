"""Restoration without pairs beside restoration with them, on the test pairs of `corrupt.domains.by: damage`.

    mendline profile painting && dvc exp run -S corrupt.domains.by=damage
    python -m benchmarks.unpaired

PSNR in dB of whole pictures and of the damaged pixels alone, and SSIM, by kind of damage: of the damaged picture, of
blind filters, and of the translator in data/model, which has seen damaged and undamaged pictures of different photos
and is not told where the damage is; then of Telea's method and of a generator that was trained on pairs, which are.
"""

from pathlib import Path

from pipeline.runtime import command_line

if __name__ == "__main__":
    parser = command_line.parser("python -m benchmarks.unpaired", __doc__)
    parser.add_argument(
        "--model", default="models/restore", help="trained on pairs, as that of mend; default: %(default)s"
    )
    options = command_line.read(parser)

import numpy as np
import pandas as pd
import torch

from pipeline.datasets.pairs import Pairs
from pipeline.evaluation.baselines import telea
from pipeline.evaluation.translations import Translations
from pipeline.inference.restorer import Restorer
from pipeline.metrics.image_quality import scores
from pipeline.networks import weights
from pipeline.runtime.errors import one_line_errors

METHODS = ("identity", "median", "non_local", "translator")
SHOWN = ["psnr", "psnr_hole", "ssim"]


def main(model: str) -> None:
    """Print the table."""
    pairs, training = (Pairs(Path("data/pairs"), split) for split in ("test", "train"))
    network = weights.load_translator(Path("data/model"), torch.device("cpu"))
    contest = Translations(pairs, training, lambda image: weights.translate(network, image[None])[0])
    restorer = Restorer.load(model)
    lines = []
    for index, label in enumerate(contest.labels):
        target, image, mask = pairs.pictures(index)
        made = {name: each for name, each in contest.translations(index).items() if name in METHODS}
        made |= {"Telea, told where": telea(image, mask, 3), f"{model}, told where": restorer.restore(image, mask)}
        count = len(made)
        values = scores(np.stack(list(made.values())), np.stack([target] * count), np.stack([mask] * count))
        lines.append(pd.DataFrame({"damage": label, "method": list(made), **{name: values[name] for name in SHOWN}}))
    table = pd.concat(lines)
    both = pd.concat([table, table.assign(damage="all")])
    means = both.groupby(["method", "damage"], sort=False)[SHOWN].mean().round(2)
    print(means.unstack("damage").to_string())


if __name__ == "__main__":
    with one_line_errors():
        main(options.model)
