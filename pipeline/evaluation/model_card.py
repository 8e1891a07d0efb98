"""The model card: what a network was trained on, what it is worth, what it is for and what not."""

from typing import Any

import pandas as pd

from pipeline.corruptions.labels import task_of
from pipeline.evaluation import translations
from pipeline.evaluation.tables import compared, trained
from pipeline.metrics import detection, image_quality
from pipeline.metrics.perceptual import PROTOCOL as PERCEPTUAL_PROTOCOL
from pipeline.metrics.registry import METRICS
from pipeline.tasks import TASKS

FILTERED = "To enlarge, it takes what the bicubic filter has brought to its size, with a mask that is all white."
LIMITS = (
    "The scores hold for unseen test pictures of the same source; other pictures score differently.",
    "Where the licenses below are not commercial, or ask for attribution, so may be what is made with this model.",
)

OTHERS = {"detector": {"detect"}, "translator": {"translate"}}  # tasks that the corruptions do not tell
PROTOCOLS = {  # of the scores, and of the perceptual ones
    "gan": (image_quality.PROTOCOL, PERCEPTUAL_PROTOCOL),
    "detector": (detection.PROTOCOL, PERCEPTUAL_PROTOCOL),
    "translator": (translations.PROTOCOL, translations.PERCEPTUAL_PROTOCOL),
}
UNTRAINED = "models/untrained"
EARLIER = "The training went on from the weights of `{init}`: what that was trained on, and its licenses, count too."


def model_card(
    config: dict[str, Any],
    manifest: pd.DataFrame,
    scores: pd.DataFrame,
    summary: dict[str, Any],
    perceptual: pd.DataFrame,
) -> str:
    """The card, as Markdown.

    Args:
        config: the model's `config.json`.
        manifest: a line a photo, with `license` and `license_url`.
        scores: the means by corruption and method.
        summary: the means of all pairs.
        perceptual: of `Holes.table`, or of `Likeness.table`.
    """
    licenses = manifest.groupby(["license", "license_url"], dropna=False).size().rename("photos").reset_index()
    own = scores[scores.method == trained(scores)].drop(columns="method")
    by, kind = compared(scores), trained(scores)
    gains = pd.Series(summary[f"gain_{by}"], name=f"gain in {METRICS[by].title}").rename_axis("method").reset_index()
    evaluated = OTHERS.get(kind) or set(scores.corruption.map(task_of))
    tasks = [task for name, task in TASKS.items() if name in evaluated]
    enlarges = config["generator"]["design"] == "enlarger"
    listed = [limit.format(size=config["image_size"]) for task in tasks for limit in task.limits]
    limits = dict.fromkeys([FILTERED, *listed] if "superres" in evaluated and not enlarges else listed)
    protocol, seen = PROTOCOLS[kind]
    digests = ", ".join(f"{path} {digest}" for path, digest in config["trained_on"].items())
    looks = f"\n\n{seen}.\n\n{perceptual.to_markdown(index=False)}" if len(perceptual) else ""
    earlier = "" if config.get("init", UNTRAINED) == UNTRAINED else "\n\n" + EARLIER.format(**config)
    sections = {
        "Intended use": "\n".join(f"- {task.use}" for task in tasks),
        "Limits": "\n".join(f"- {limit}" for limit in (*limits, *LIMITS)),
        "Metrics": f"On {summary['pairs']} test pairs. {protocol}.\n\n{own.to_markdown(index=False)}\n\n"
        f"Above other methods, on the pairs each of them was applied to:\n\n{gains.to_markdown(index=False)}{looks}",
        "Data": f"{len(manifest)} photos, of which those of the train split were trained on ({digests}).\n\n"
        f"{licenses.to_markdown(index=False)}{earlier}",
    }
    title = f"# Mendline {'enlarger' if enlarges else 'generator' if kind == 'gan' else kind}\n"
    return title + "".join(f"\n## {heading}\n\n{body}\n" for heading, body in sections.items())
