"""Stage 4: score the restorations of the test pairs, beside classical methods."""

from pipeline import command

if __name__ == "__main__":
    command.read_stage("evaluate", __doc__)

import json
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import lineage, outs
from pipeline.errors import UserError, one_line_errors
from pipeline.gan import checkpoint, device, model
from pipeline.pairs import Pairs
from pipeline.params import Champion, Evaluate, load
from pipeline.quality import card, figures, report
from pipeline.quality.metrics import PROTOCOL
from pipeline.tracking import row, store

OUTS = (
    "metrics/evaluate.json",
    "metrics/by_corruption.csv",
    "metrics/by_area.csv",
    "metrics/scores.csv",
    "metrics/figures",
    "metrics/model_card.md",
)


def main() -> None:
    """Read `data/pairs` and `data/model`; write the scores, their tables and figures."""
    params = load()
    store.prepare(params.tracking.required)
    checkpoint.discard_ended(lineage.recorded_training())
    methods = contest(params.evaluate)
    manifest = pd.read_csv("data/coco/manifest.csv")
    config = model.facts(Path("data/model"))
    scores = methods.scores()
    by_corruption = report.by_corruption(scores)
    summary = report.summary(scores)
    with outs.complete(*OUTS) as (summary_out, by_corruption_out, by_area_out, scores_out, figures_out, card_out):
        summary_out.write_text(json.dumps(summary, indent=2) + "\n")
        by_corruption.to_csv(by_corruption_out, index=False)
        report.by_area(scores).to_csv(by_area_out, index=False)
        scores.round(4).to_csv(scores_out, index=False)
        card_out.write_text(card.text(config, manifest, by_corruption, summary))
        figures_out.mkdir()
        figures.grid(methods, scores, params.evaluate.rows).save(figures_out / "grid.png")
        figures.cases(methods, scores, params.evaluate.rows).save(figures_out / "cases.png")
        figures.save(figures.bars(by_corruption), figures_out / "bars.png")
    print("PSNR in dB; " + PROTOCOL)
    print(report.side_by_side(by_corruption, "psnr").round(2).to_string())
    track(params.tracking.champion)


def track(champion: Champion) -> None:
    """Complete the experiment's row. Where MLflow cannot be used, warn: the work is done."""
    try:
        stages, code = lineage.here("evaluate"), lineage.code_state()
        row.complete(store.connect(), stages, code, Path(), champion, evaluated=True)
    except UserError as error:
        store.absent(error, required=False)


def contest(params: Evaluate) -> report.Contest:
    """The trained generator against the classical methods, on the test pairs."""
    pairs = Pairs(Path("data/pairs"), "test")
    generator = model.load(Path("data/model"), device.pick())

    def gan(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return model.restore(generator, image[None], mask[None])[0]

    return report.Contest(pairs, gan, params.radius)


if __name__ == "__main__":
    with one_line_errors():
        main()
