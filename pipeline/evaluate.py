"""Stage 4: score the restorations of the test pairs, beside classical methods."""

import json
from pathlib import Path

import numpy as np

from pipeline import outs, tracking
from pipeline.errors import one_line_errors
from pipeline.gan import device, model
from pipeline.pairs import Pairs
from pipeline.params import Evaluate, load
from pipeline.quality import figures, report
from pipeline.quality.metrics import PROTOCOL

OUTS = (
    "metrics/evaluate.json",
    "metrics/by_corruption.csv",
    "metrics/by_area.csv",
    "metrics/scores.csv",
    "metrics/figures",
)


def main() -> None:
    """Read `data/pairs` and `data/model`; write the scores, their tables and figures."""
    params = load()
    methods = contest(params.evaluate)
    scores = methods.scores()
    by_corruption = report.by_corruption(scores)
    summary = report.summary(scores)
    with outs.complete(*OUTS) as (summary_out, by_corruption_out, by_area_out, scores_out, figures_out):
        summary_out.write_text(json.dumps(summary, indent=2) + "\n")
        by_corruption.to_csv(by_corruption_out, index=False)
        report.by_area(scores).to_csv(by_area_out, index=False)
        scores.round(4).to_csv(scores_out, index=False)
        figures_out.mkdir()
        figures.grid(methods, scores, params.evaluate.rows).save(figures_out / "grid.png")
        figures.cases(methods, scores, params.evaluate.rows).save(figures_out / "cases.png")
        figures.save(figures.bars(by_corruption), figures_out / "bars.png")
    print("PSNR in dB; " + PROTOCOL)
    print(report.side_by_side(by_corruption, "psnr").round(2).to_string())
    tracking.log_stage("evaluate", params, tracking.flat({"evaluate": summary}, "/"), [Path(out) for out in OUTS])


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
