"""What each ingredient of the design is worth: the same short training with one of them changed.

    python -m benchmarks.ablation 1000

An experiment for each row of `TRIALS`, run one after the other by DVC on the parameters of the workspace, with so many
steps. Interrupted, it goes on where it was. The scores are of the test pairs: they tell, they do not choose.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    parser = command_line.parser("python -m benchmarks.ablation", __doc__)
    parser.add_argument("steps", type=int, help="of each training")
    options = command_line.read(parser)

import os
import platform
import subprocess
from typing import get_args

import dvc.api
import pandas as pd

from pipeline.params import HoleCorruption
from pipeline.runtime.errors import UserError, excerpt, one_line_errors

TRIALS = {
    "design": [],
    "prior-harmonic": ["train.generator.prior=harmonic"],
    "prior-pushpull": ["train.generator.prior=pushpull"],
    "prior-none": ["train.generator.prior=none"],
    "opaque": ["train.generator.see_through=false", "train.generator.copy_pixels=false"],
    "shuffle": ["train.generator.decoder=shuffle"],
    "no-copy": ["train.generator.copy_pixels=false"],
    "whole-pictures": ["train.crop=0", "train.batch=8"],
    "adam": ["train.muon_lr=0", "train.lr=0.0003"],
    "gated": ["train.generator.block=gated"],
    "dilated": ["train.generator.block=dilated"],
    "large": ["train.generator.block=large"],
    "attention": ["train.generator.attention=true"],
    "wider": ["train.generator.channels=64"],
    "deeper": ["train.generator.blocks=2"],
    "l1-alone": ["train.losses.adversarial=0"],
    "adversarial-x10": ["train.losses.adversarial=0.02"],
    "hinge": ["train.objective=hinge"],
    "relativistic": ["train.objective=relativistic"],
    "textbook": [
        "train.generator.design=textbook",
        "train.generator.scales=5",
        "train.discriminator.norm=batch",
        "train.discriminator.lr=0.0002",
        "train.objective=minimax",
        "train.losses.penalty=0",
        "train.lr=0.0002",
    ],
}


def main(steps: int) -> None:
    """Run what has not been run, then print the gain over the harmonic prior, and the PSNR by corruption.

    Raises:
        UserError: no steps.
    """
    if steps < 1:
        raise UserError(f"steps is {excerpt(steps)}; expected 1 or more")
    prefix = f"ablation-{steps}-"
    done = experiments().index
    for name, changes in TRIALS.items():
        if prefix + name not in done:
            length = [
                *("train.init=models/untrained", "train.muon_lr=0.01"),
                f"train.steps={steps}",
                f"train.warmup={steps * 7 // 8}",
                f"train.validate_every={steps}",
            ]
            settings = [argument for change in length + changes for argument in ("-S", change)]
            subprocess.run(["dvc", "exp", "run", "--temp", "-n", prefix + name, *settings], check=False)
    shown = ["gain_psnr.harmonic", "ssim", *(f"{kind}.psnr" for kind in (*get_args(HoleCorruption), "mixed"))]
    rows = experiments().reindex(index=[prefix + name for name in TRIALS], columns=shown)
    print(f"{platform.machine()}, {os.cpu_count()} cores; {steps} steps of the workspace's train.batch")
    print(rows.rename(lambda name: name.removeprefix(prefix)).to_markdown(floatfmt=".3f"))


def experiments() -> pd.DataFrame:
    """Those of the workspace's commit, by name."""
    return pd.DataFrame(dvc.api.exp_show()).dropna(subset=["Experiment"]).set_index("Experiment")


if __name__ == "__main__":
    with one_line_errors():
        main(options.steps)
