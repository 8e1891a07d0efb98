"""Stage 3: train a generator against a discriminator on the pairs."""

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pipeline import lineage, outs, progress, sheet, tracking
from pipeline.errors import UserError, one_line_errors
from pipeline.gan import device, model
from pipeline.gan.batches import training_batches
from pipeline.gan.generator import Generator
from pipeline.gan.trainer import Trainer
from pipeline.pairs import Pairs
from pipeline.params import Params, load
from pipeline.quality.metrics import psnr

PAIRS = Path("data/pairs")
OUTS = ("data/model", "metrics/train.json", "metrics/losses.csv", "metrics/validation.csv", "metrics/restored")
LOSSES = ["step", "l1", "adversarial", "discriminator", "penalty", "score_real", "score_restored"]


def main() -> None:
    """Read `data/pairs`; write the model, its curves and the restored val pictures."""
    params = load()
    training, validation = Pairs(PAIRS, "train"), Pairs(PAIRS, "val")
    trainer = Trainer(params.train, device.pick())
    with (
        outs.complete(*OUTS) as (model_out, summary_out, losses_out, validation_out, pictures_out),
        tracking.start("train", params) as run,
    ):
        pictures_out.mkdir()
        losses, scores = fit(trainer, training, validation, params, pictures_out, run)
        losses.to_csv(losses_out, index=False)
        scores.to_csv(validation_out, index=False)
        pd.Series({"val_psnr": scores.psnr.iloc[-1], "prior_val_psnr": scores.psnr.iloc[0]}).to_json(summary_out)
        model.save(model_out, trainer.average, model_config(params))
    print(f"val PSNR {scores.psnr.iloc[-1]:.2f} dB, the prior's {scores.psnr.iloc[0]:.2f} dB; model in data/model")


def fit(
    trainer: Trainer, training: Pairs, validation: Pairs, params: Params, pictures: Path, run: tracking.Run
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train to the last step; return the losses (mean since the point before) and the val PSNR, by step.

    Raises:
        UserError: a loss is not finite.
    """
    losses, scores = [], [validate(trainer.average, validation, params, 0, pictures, run)]
    batches = training_batches(training, params.train.batch, params.train.seed, range(params.train.steps))
    recent: dict[str, list[Tensor]] = defaultdict(list)
    steps = progress.bar(batches, "train", params.train.steps, "step")
    for step, batch in enumerate(steps, 1):
        for name, loss in trainer.step(step - 1, batch).items():
            recent[name].append(loss)
        if step % params.train.log_every == 0 or step == params.train.steps:
            point = {name: torch.stack(values).mean().item() for name, values in recent.items()}
            if not all(map(math.isfinite, point.values())):
                raise UserError(f"train: by step {step} a loss is not finite ({point}); set a smaller train.lr")
            run.metrics({f"train/{name}": value for name, value in point.items()}, step)
            losses.append({"step": step} | point)
            recent.clear()
        if step % params.train.validate_every == 0 or step == params.train.steps:
            scores.append(validate(trainer.average, validation, params, step, pictures, run))
            steps.set_postfix_str(f"val {scores[-1]['psnr']:.2f} dB")
    return pd.DataFrame(losses, columns=LOSSES), pd.DataFrame(scores)


def validate(
    generator: Generator, pairs: Pairs, params: Params, step: int, pictures: Path, run: tracking.Run
) -> dict[str, float]:
    """PSNR over all val pairs, and the first of them side by side as a picture. At step 0 this is the prior."""
    ratios: list[np.ndarray] = []
    rows: list[list[np.ndarray]] = []
    for targets, images, masks in pairs.batches(params.train.batch):
        restored = model.restore(generator, images, masks)
        ratios.append(psnr(restored, targets))
        rows += [list(row) for row in zip(images, restored, targets, strict=True)][: params.train.samples - len(rows)]
    score = float(np.concatenate(ratios).mean())
    figure = sheet.grid(rows, ["corrupted", "restored", "original"])
    figure.save(pictures / f"step-{step:07}.png")
    run.metrics({"val/psnr": score}, step)
    run.picture("restored", np.asarray(figure), step)
    return {"step": step, "psnr": score}


def model_config(params: Params) -> dict:
    """What a reader of the weights must know."""
    return {
        "task": "restoration",
        "generator": params.train.generator.model_dump(),
        "image_size": params.corrupt.image_size,
        "trained_on": lineage.data_digests("train"),
    }


if __name__ == "__main__":
    with one_line_errors():
        main()
