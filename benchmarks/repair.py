"""What several scales gain on pictures larger than those of the training, and what the search for scratches finds;
then what it is worth to judge whether anything shines through, with masks that reach beyond the damage.

    python -m benchmarks.repair

After a run on photographs: of its test photos, those of at least `LEAST` px, as they are, each with every damage; and
the first `WIDENED` of them with their shorter side `SMALL` px.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read(command_line.parser("python -m benchmarks.repair", __doc__))

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from benchmarks import damages
from pipeline.corruptions import draw, occlusion
from pipeline.datasets import photos
from pipeline.datasets.splits import assign_splits
from pipeline.evaluation.baselines import telea
from pipeline.images import detect_scratches
from pipeline.inference import backends, pyramid
from pipeline.inference.model_files import MODELS
from pipeline.metrics.image_quality import scores
from pipeline.params import Corrupt, load
from pipeline.priors.numpy_fill import fill
from pipeline.runtime.errors import one_line_errors

PHOTOS = Path("data/coco")
LEAST = 400  # px: of a photo's shorter side
KINDS = ["stain", "scratch", "freeform", "occlusion"]
SMALL = 256  # px
WIDENED = 20
WIDER = [0, 2, 4, 8]  # px that the mask reaches beyond the damage
NEAR = 2  # px: a proposal so far beside a scratch is no mistake

Damage = Callable[[np.ndarray, np.random.Generator, Corrupt], tuple[np.ndarray, np.ndarray]]
"""(picture uint8 RGB HW3, draw, parameters) -> (damaged picture, where it is damaged, bool HW)."""


def main() -> None:
    """Print the hole's PSNR by damage and method, how much of the scratches is found, and the PSNR in wider holes."""
    params = load().corrupt
    network, prior = backends.load(MODELS / "restore")
    test = assign_splits(photos.index(PHOTOS), params.val, params.test)["test"]
    large = {photo.image_id: photos.read(PHOTOS, photo) for photo in test}
    large = {image_id: target for image_id, target in large.items() if min(target.shape[:2]) >= LEAST}
    large_pictures(network, prior, large, params)
    wider_masks(network, prior, dict(list(large.items())[:WIDENED]), params)


def large_pictures(network: pyramid.Network, prior: str, targets: dict[int, np.ndarray], params: Corrupt) -> None:
    """Print what several scales gain, and what the search for scratches finds."""
    lines, found = [], []
    for image_id, target in targets.items():
        for number, kind in enumerate(KINDS):
            rng = np.random.default_rng([params.seed, image_id, number])
            image, hole = draw.corrupt(kind, target, rng, params, None)
            filled = fill(prior, pyramid.as_float(image), hole)
            methods = {
                "Telea": telea(image, hole, 3),
                "one scale": pyramid.in_tiles(network, image, hole, filled.__getitem__),
                "several scales": pyramid.restore(network, prior, image, hole, see_through=True),
                "several scales, opaque": pyramid.restore(network, prior, image, hole, see_through=False),
                "several scales, automatic": pyramid.restore(network, prior, image, hole),
            }
            lines.append({"damage": kind} | psnr_of(methods, target, hole))
            if kind == "scratch":
                found.append(search(image, hole))
    table = pd.DataFrame(lines).groupby("damage", sort=False).mean()
    print(f"{len(found)} test photos of at least {LEAST} px; PSNR of the hole in dB")
    print(table.to_markdown(floatfmt=".2f"))
    recall, wrong = np.mean(found, axis=0)
    print(f"scratches: {recall:.1%} of their pixels are proposed, and {wrong:.1%} of all others")


def wider_masks(network: pyramid.Network, prior: str, targets: dict[int, np.ndarray], params: Corrupt) -> None:
    """Print what is gained by looking through, by not, and by judging, as masks grow wider than the damage."""
    lines = []
    for image_id, photo in targets.items():
        scale = SMALL / min(photo.shape[:2])
        target = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for number, kind in enumerate(DAMAGES):
            rng = np.random.default_rng([params.seed, image_id, number])
            image, damage = DAMAGES[kind](target, rng, params)
            for wider in WIDER:
                disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * wider + 1,) * 2)
                hole = cv2.dilate(damage.astype(np.uint8), disc) > 0
                methods = {
                    "see-through": pyramid.restore(network, prior, image, hole, see_through=True),
                    "opaque": pyramid.restore(network, prior, image, hole, see_through=False),
                    "automatic": pyramid.restore(network, prior, image, hole),
                    "Telea": telea(image, hole, 3),
                }
                lines.append({"damage": kind, "wider": wider} | psnr_of(methods, target, hole))
    table = pd.DataFrame(lines).groupby(["damage", "wider"], sort=False).mean().reset_index()
    print(f"{len(targets)} of these photos at {SMALL} px, by how many px the mask is wider; PSNR of the hole in dB")
    print(table.to_markdown(floatfmt=".2f", index=False))


def of_training(kind: str) -> Damage:
    """A kind that generators are trained on."""
    return lambda image, rng, params: draw.corrupt(kind, image, rng, params, None)


def occluded(fill: str) -> Damage:
    """Occlusion with one kind of fill."""
    return lambda image, rng, params: occlusion.corrupt(
        image, rng, params.occlusion.model_copy(update={"fills": [fill]})
    )


def foreign(damage: Callable) -> Damage:
    """A kind that none is trained on."""
    return lambda image, rng, params: damage(image, rng)


DAMAGES: dict[str, Damage] = (
    {kind: of_training(kind) for kind in ("stain", "scratch", "freeform")}
    | {f"occlusion, {fill}": occluded(fill) for fill in ("constant", "noise", "texture")}
    | {made.__name__: foreign(made) for made in (damages.lettering, damages.tears, damages.sticker, damages.dust)}
)


def psnr_of(methods: dict[str, np.ndarray], target: np.ndarray, hole: np.ndarray) -> dict[str, float]:
    """The PSNR of the hole in dB, by method."""
    return {
        name: float(scores(restored[None], target[None], hole[None])["psnr_hole"][0])
        for name, restored in methods.items()
    }


def search(image: np.ndarray, hole: np.ndarray) -> tuple[float, float]:
    """The share of the hole that is proposed, and of what lies apart from it."""
    proposed = detect_scratches.detect(image)
    near = cv2.dilate(hole.astype(np.uint8), np.ones((2 * NEAR + 1,) * 2, np.uint8)) > 0
    return float(proposed[hole].mean()), float(proposed[~near].mean())


if __name__ == "__main__":
    with one_line_errors():
        main()
