"""Stage 4: score what the trained network makes of the test pairs, beside classical methods."""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read_stage("evaluate", __doc__)

import json
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from pipeline import lineage
from pipeline.datasets.pairs import Pairs
from pipeline.evaluation import figures, model_card, tables
from pipeline.evaluation.baselines import Damaged
from pipeline.evaluation.comparison import Comparison
from pipeline.evaluation.detections import Detections
from pipeline.evaluation.holes import Holes
from pipeline.evaluation.translations import Likeness, Translations
from pipeline.metrics.registry import METRICS
from pipeline.networks import device, weights
from pipeline.networks.detector import Detector
from pipeline.networks.enlarger import Enlarger
from pipeline.networks.translator import Translator
from pipeline.params import Champion, Evaluate, load
from pipeline.runtime.errors import UserError, one_line_errors
from pipeline.runtime.outputs import complete_outs
from pipeline.tracking import client, experiment_run
from pipeline.training import checkpoint

MODEL = Path("data/model")
PAIRS = Path("data/pairs")
OUTS = (
    "metrics/headline.json",
    "metrics/evaluate.json",
    "metrics/by_corruption.csv",
    "metrics/by_area.csv",
    "metrics/by_margin.csv",
    "metrics/by_width.csv",
    "metrics/perceptual.csv",
    "metrics/scores.csv",
    "metrics/figures",
    "metrics/model_card.md",
)


def main() -> None:
    """Read `data/pairs` and `data/model`; write the scores, their tables and figures."""
    params = load()
    client.prepare(params.tracking.required)
    checkpoint.discard_ended(lineage.recorded_training())
    pairs, network = Pairs(PAIRS, "test"), weights.load(MODEL, device.resolve_device())
    manifest, config = pd.read_csv("data/coco/manifest.csv"), weights.facts(MODEL)
    contest: Comparison | Detections | Translations
    if isinstance(network, Detector):
        contest, looks = find_damage(pairs, network), figures.FOUND
        scores, perceptual = contest.scores(), Holes([]).table()
    elif isinstance(network, Translator):
        contest = translate(pairs, network)
        looks = figures.TRANSLATED if contest.has_truth else figures.WITHOUT_TRUTH
        likeness = Likeness(params.evaluate.perceptual)
        scores, perceptual = contest.scores(likeness), likeness.table()
    else:
        contest, looks = restore(pairs, network, params.evaluate), figures.RESTORED
        holes = Holes(params.evaluate.perceptual)
        scores, perceptual = contest.scores(holes), holes.table()
    by_corruption, summary, headline = tables.by_corruption(scores), tables.summary(scores), tables.headline(scores)
    summary |= tables.of_the_gan(perceptual)
    with complete_outs(*OUTS) as (
        headline_out,
        summary_out,
        by_corruption_out,
        by_area_out,
        by_margin_out,
        by_width_out,
        perceptual_out,
        scores_out,
        figures_out,
        card_out,
    ):
        headline_out.write_text(json.dumps(headline, indent=2) + "\n")
        summary_out.write_text(json.dumps(summary, indent=2) + "\n")
        by_corruption.to_csv(by_corruption_out, index=False)
        tables.by_area(scores).to_csv(by_area_out, index=False)
        tables.by_margin(scores).to_csv(by_margin_out, index=False)
        tables.by_width(scores).to_csv(by_width_out, index=False)
        perceptual.to_csv(perceptual_out, index=False)
        scores.round(4).to_csv(scores_out, index=False)
        card_out.write_text(model_card.model_card(config, manifest, by_corruption, summary, perceptual))
        figures_out.mkdir()
        figures.grid(contest, scores, looks, params.evaluate.rows).save(figures_out / "grid.png")
        figures.cases(contest, scores, looks, params.evaluate.rows).save(figures_out / "cases.png")
        figures.save(figures.bars(by_corruption, looks), figures_out / "bars.png")
    print(f"{METRICS[tables.compared(scores)].title}; {looks.protocol}")
    print(tables.side_by_side(by_corruption, tables.compared(scores)).round(2).to_string())
    if len(perceptual):
        print(model_card.PROTOCOLS[tables.trained(scores)][1])
        print(perceptual.set_index("method").to_string())
    lost = [f"{corruption} ({method})" for corruption, method in tables.lost(by_corruption).items()]
    where = f"behind on {', '.join(lost)}" if lost else "ahead on every corruption"
    print(f"{looks.verdict.format(**headline)}; {where}")
    print("look at metrics/figures/grid.png")
    track(params.tracking.champion)


def track(champion: Champion) -> None:
    """Complete the experiment's row. Where MLflow cannot be used, warn: the work is done."""
    try:
        stages, code = lineage.stages_with_running("evaluate"), lineage.code_state()
        experiment_run.complete(client.connect(), stages, code, Path(), champion, evaluated=True)
    except UserError as error:
        client.unavailable(error, required=False)


def restore(pairs: Pairs, generator: nn.Module, params: Evaluate) -> Comparison:
    """The generator against the classical methods."""

    def gan(damaged: Damaged) -> np.ndarray:
        if isinstance(generator, Enlarger):
            return weights.enlarge(generator, damaged.small, damaged.mask.shape[0] // damaged.small.shape[0])
        return weights.restore(generator, damaged.image[None], damaged.mask[None])[0]

    return Comparison(pairs, gan, params.radius, params.slow_baselines)


def find_damage(pairs: Pairs, detector: nn.Module) -> Detections:
    """The detector against the classical methods."""
    return Detections(pairs, lambda image: weights.find_damage(detector, image[None])[0])


def translate(pairs: Pairs, translator: nn.Module) -> Translations:
    """The translator against the classical methods."""
    return Translations(pairs, Pairs(PAIRS, "train"), lambda image: weights.translate(translator, image[None])[0])


if __name__ == "__main__":
    with one_line_errors():
        main()
