"""How well damage is found that was drawn by nobody here, what is marked where there is none, and what a repair gains.

    python -m benchmarks.detect data/model
    python -m benchmarks.detect data/model --shapes FOLDER

After a run on photographs, with its test photos and pairs: the share of sound photos, as they are, that is marked; PSNR
of damaged pictures before and after `models/restore` has restored what was found; and with `--shapes`, a folder of
folders of pictures whose alpha is a shape of damage, F1 of each of these classes, laid in white, black or grey over
squares of `SIDE` px.
"""

from pathlib import Path

from pipeline.runtime import command_line

if __name__ == "__main__":
    parser = command_line.parser("python -m benchmarks.detect", __doc__)
    parser.add_argument("model", help="a detector, as for mend --detect")
    parser.add_argument("--shapes", metavar="FOLDER", type=Path, help="a folder of classes of shapes")
    options = command_line.read(parser)

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from pipeline.datasets import photos
from pipeline.datasets.pairs import Pairs
from pipeline.datasets.splits import assign_splits
from pipeline.evaluation.detections import CLASSICAL
from pipeline.inference.detector import Detector, mark
from pipeline.inference.restorer import Restorer
from pipeline.metrics import detection
from pipeline.metrics.image_quality import psnr
from pipeline.params import load
from pipeline.runtime import progress
from pipeline.runtime.errors import UserError, one_line_errors

STORE = Path("data/coco")
SIDE = 256  # px
SOUND, BLIND = 200, 200  # photos, and pairs
TONES = 255, 0, 128
OPACITY = 0.9

Mark = Callable[[np.ndarray], np.ndarray]
"""A picture, uint8 RGB HWC -> where it is marked, bool HW."""


def main(model: str, shapes: Path | None) -> None:
    """Print the tables."""
    params = load().corrupt
    test = assign_splits(photos.index(STORE), params.val, params.test)["test"]
    pictures = [photos.read(STORE, photo) for photo in test[:SOUND]]
    methods = {"detector": marked_by(Detector.load(model)), **{name: above(find) for name, find in CLASSICAL.items()}}
    print(f"$ python -m benchmarks.detect {model}{f' --shapes {shapes}' if shapes else ''}\n")
    print(f"{len(pictures)} sound photos")
    print(on_sound(methods, pictures).to_markdown(floatfmt=".3f"))
    print(f"\nat most {BLIND} test pairs, restored where damage was found; PSNR of the whole picture in dB")
    print(blind(methods, Pairs(Path("data/pairs"), "test")).to_markdown(floatfmt=".2f"))
    if shapes:
        print(f"\nshapes on squares of {SIDE} px: F1; within {detection.TOLERANCE:g} px counts as found")
        print(on_shapes(methods, shapes, pictures).to_markdown(floatfmt=".2f"))


def marked_by(detector: Detector) -> Mark:
    """What `mend --detect` marks."""
    return lambda picture: mark(detector(picture))[0]


def above(find: Callable[[np.ndarray], np.ndarray]) -> Mark:
    """What a classical method marks."""
    return lambda picture: find(picture) > detection.THRESHOLD


def on_sound(methods: dict[str, Mark], pictures: list[np.ndarray]) -> pd.DataFrame:
    """What is marked where there is no damage."""
    lines = []
    for picture in progress.bar(pictures, "sound", len(pictures), "photo"):
        for name, find in methods.items():
            share = find(picture).mean()
            lines.append({"method": name, "pixels marked (%)": 100 * share, "photos touched (%)": 100.0 * (share > 0)})
    return pd.DataFrame(lines).groupby("method", sort=False).mean()


def blind(methods: dict[str, Mark], pairs: Pairs) -> pd.DataFrame:
    """What a repair without a mask gains."""
    restorer, labels, lines = Restorer.load(), pairs.column("corruption"), []
    chosen = range(0, len(pairs), max(1, len(pairs) // BLIND))
    for index in progress.bar(chosen, "blind", len(chosen), "pair"):
        target, image, mask = pairs.pictures(index)
        before = psnr(image[None], target[None]).item()
        line = {"corruption": labels[index], "before": before}
        masks = {name: find(image) for name, find in methods.items()} | {"the true mask": mask}
        for name, found in masks.items():
            after = psnr(restorer.restore(image, found)[None], target[None]).item()
            line |= {name: after, f"{name}: better (%)": 100.0 * (after > before)}
        lines.append(line)
    table = pd.DataFrame(lines)
    shown = ["before", *methods, "the true mask", "detector: better (%)", "heuristic: better (%)"]
    means = table.groupby("corruption")[shown].mean()
    return pd.concat([means, table[shown].mean().rename("all").to_frame().T])


def on_shapes(methods: dict[str, Mark], folder: Path, pictures: list[np.ndarray]) -> pd.DataFrame:
    """F1 by class.

    Raises:
        UserError: there are no shapes.
    """
    lines = []
    cases = [*damaged_by_shapes(folder, pictures)]
    if not cases:
        raise UserError(f"{folder}: no folders of pictures; expected one for each class of shapes")
    for name, image, damage in progress.bar(cases, "shapes", len(cases), "picture"):
        for method, find in methods.items():
            found = detection.f1(find(image), damage)
            lines.append({"class": name, "method": method, "f1": found})
    table = pd.DataFrame(lines).pivot_table(index="class", columns="method", values="f1")[[*methods]]
    return pd.concat([table, table.mean().rename("all").to_frame().T])


def damaged_by_shapes(folder: Path, pictures: list[np.ndarray]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Class, damaged picture (uint8 RGB HW3) and where it is damaged (bool HW)."""
    for number, path in enumerate(sorted(folder.glob("*/*"))):
        with Image.open(path) as shape:
            alpha = shape.convert("RGBA").getchannel("A").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        opacity = OPACITY * np.asarray(alpha, float)[..., None] / 255
        picture = square(pictures[number % len(pictures)])
        damage = opacity[..., 0] > 0.1  # what is fainter nobody sees
        if damage.any():
            image = picture + (TONES[number % len(TONES)] - picture.astype(float)) * opacity
            yield path.parent.name, image.round().astype(np.uint8), damage


def square(picture: np.ndarray) -> np.ndarray:
    """The middle square, `SIDE` px."""
    side = min(picture.shape[:2])
    top, left = ((whole - side) // 2 for whole in picture.shape[:2])
    return cv2.resize(picture[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    with one_line_errors():
        main(options.model, options.shapes)
