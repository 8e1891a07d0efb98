"""The model card: what a generator was trained on, what it is worth, what it is for and what not."""

from typing import Any

import pandas as pd

from pipeline.corruptions.labels import task_of
from pipeline.metrics.image_quality import PROTOCOL
from pipeline.metrics.perceptual import PROTOCOL as PERCEPTUAL_PROTOCOL
from pipeline.tasks import TASKS

USE = "What it paints is plausible, not what was there: it is no evidence of anything."
LIMITS = """\
- It was trained on squares of {size} px; other sizes work, holes much larger than its own are blurred.
- It knows the pictures of its training data. Faces, text and drawings are restored as badly as they are rare there.
- The scores hold for the test pictures of the same source, which it has not seen; other pictures score differently.
- Where the licenses below are not commercial, or ask for attribution, so may be what is made with this model."""

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
        perceptual: of `Holes.table`.
    """
    licenses = manifest.groupby(["license", "license_url"], dropna=False).size().rename("photos").reset_index()
    own = scores[scores.method == "gan"].drop(columns="method")
    gains = pd.DataFrame({"method": summary["gain_psnr"].keys(), "gain in PSNR (dB)": summary["gain_psnr"].values()})
    evaluated = set(scores.corruption.map(task_of))
    tasks = [task for name, task in TASKS.items() if name in evaluated]
    digests = ", ".join(f"{path} {digest}" for path, digest in config["trained_on"].items())
    looks = f"\n\n{PERCEPTUAL_PROTOCOL}.\n\n{perceptual.to_markdown(index=False)}" if len(perceptual) else ""
    earlier = "" if config.get("init", UNTRAINED) == UNTRAINED else "\n\n" + EARLIER.format(**config)
    sections = {
        "Intended use": "\n".join([*(f"- {task.use}" for task in tasks), "", USE]),
        "Limits": "\n".join([*(f"- {task.limit}" for task in tasks), LIMITS.format(size=config["image_size"])]),
        "Metrics": f"On {summary['pairs']} test pairs. {PROTOCOL}.\n\n{own.to_markdown(index=False)}\n\n"
        f"Above other methods, on the pairs each of them was applied to:\n\n{gains.to_markdown(index=False)}{looks}",
        "Data": f"{len(manifest)} photos, of which those of the train split were trained on ({digests}).\n\n"
        f"{licenses.to_markdown(index=False)}{earlier}",
    }
    return "# Mendline generator\n" + "".join(f"\n## {title}\n\n{body}\n" for title, body in sections.items())
