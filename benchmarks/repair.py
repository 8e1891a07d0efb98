"""What several scales gain on pictures larger than those of the training, and what the search for scratches finds.

    python -m benchmarks.repair

After a run on photographs: of its test photos, those of at least `LEAST` px, as they are, each with every damage.
"""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pipeline import photos
from pipeline.corruptions import draw
from pipeline.errors import one_line_errors
from pipeline.params import load
from pipeline.parts import split
from pipeline.quality.baselines import telea
from pipeline.quality.metrics import scores
from pipeline.restore import networks, scales, scratches
from pipeline.restore.fill import fill
from pipeline.restore.restorer import MODELS

PHOTOS = Path("data/coco")
LEAST = 400  # px: of a photo's shorter side
KINDS = ["stain", "scratch", "freeform", "occlusion"]
NEAR = 2  # px: a proposal so far beside a scratch is no mistake


def main() -> None:
    """Print the hole's PSNR by damage and method, then how much of the scratches is found."""
    params = load().corrupt
    network, prior = networks.load(MODELS / "restore")
    lines, found = [], []
    for photo in split(photos.index(PHOTOS), params.val, params.test)["test"]:
        target = photos.read(PHOTOS, photo)
        if min(target.shape[:2]) < LEAST:
            continue
        for number, kind in enumerate(KINDS):
            rng = np.random.default_rng([params.seed, photo.image_id, number])
            image, hole = draw.damage(kind, target, rng, params, None)
            filled = fill(prior, scales.as_float(image), hole)
            methods = {
                "Telea": telea(image, hole, 3),
                "one scale": scales.in_tiles(network, image, hole, lambda around, filled=filled: filled[around]),
                "several scales": scales.restore(network, prior, image, hole),
                "several scales, opaque": scales.restore(network, prior, image, hole, see_through=False),
            }
            psnr = {
                name: float(scores(restored[None], target[None], hole[None])["psnr_hole"][0])
                for name, restored in methods.items()
            }
            lines.append({"damage": kind, "photo": photo.image_id} | psnr)
            if kind == "scratch":
                found.append(search(image, hole))
    table = pd.DataFrame(lines).drop(columns="photo").groupby("damage", sort=False).mean()
    print(f"{len(found)} test photos of at least {LEAST} px; PSNR of the hole in dB")
    print(table.to_markdown(floatfmt=".2f"))
    recall, wrong = np.mean(found, axis=0)
    print(f"scratches: {recall:.1%} of their pixels are proposed, and {wrong:.1%} of all others")


def search(image: np.ndarray, hole: np.ndarray) -> tuple[float, float]:
    """The share of the hole that is proposed, and of what lies apart from it."""
    proposed = scratches.detect(image)
    near = cv2.dilate(hole.astype(np.uint8), np.ones((2 * NEAR + 1,) * 2, np.uint8)) > 0
    return float(proposed[hole].mean()), float(proposed[~near].mean())


if __name__ == "__main__":
    with one_line_errors():
        main()
