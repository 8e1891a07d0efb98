"""The thin, medium and thick masks of LaMa at 256 px, on test photos that the model never saw.

    python -m benchmarks.lama_masks models/restore

After a run on photographs. LaMa's own figures (Suvorov et al. 2022, table 1) are FID and LPIPS on Places and CelebA-HQ:
the masks are the same, the photos and measures are not.
"""

from pathlib import Path

from pipeline.runtime import command_line

if __name__ == "__main__":
    parser = command_line.parser("python -m benchmarks.lama_masks", __doc__)
    parser.add_argument("model", type=Path, help="a model folder")
    options = command_line.read(parser)

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.datasets import pairs, photos
from pipeline.datasets.pairs import Pair, Pairs
from pipeline.datasets.splits import assign_splits
from pipeline.evaluation import tables
from pipeline.evaluation.baselines import Damaged
from pipeline.evaluation.comparison import Comparison
from pipeline.images import crops
from pipeline.metrics.image_quality import PROTOCOL
from pipeline.metrics.registry import RESTORATION
from pipeline.networks import device, weights
from pipeline.params import load
from pipeline.runtime.errors import one_line_errors

PHOTOS = Path("data/coco")
SIDE = 256
GREY = 128
LARGEST = 0.5  # max_tamper_area of the settings


@dataclass(frozen=True)
class Setting:
    """A mask is of strokes, or of boxes with a chance of `boxes` to 1. Ranges are inclusive, lengths in px of 256.

    The values are those of configs/data_gen/random_{thin,medium,thick}_256.yaml in advimman/lama.
    """

    strokes: tuple[int, int]
    width: int
    length: int
    boxes: float = 0.0
    count: tuple[int, int] = (1, 1)
    side: tuple[int, int] = (1, 1)
    margin: int = 0


SETTINGS = {
    "thin": Setting(strokes=(4, 51), width=10, length=40),
    "medium": Setting(strokes=(4, 6), width=50, length=100, boxes=0.3, count=(1, 5), side=(10, 50)),
    "thick": Setting(strokes=(1, 6), width=100, length=200, boxes=0.3, count=(1, 3), side=(30, 150), margin=10),
}


def main(folder: Path) -> None:
    """Print PSNR and SSIM of every method by setting."""
    generator = weights.load(folder, device.resolve_device())

    def gan(damaged: Damaged) -> np.ndarray:
        return weights.restore(generator, damaged.image[None], damaged.mask[None])[0]

    with tempfile.TemporaryDirectory() as temporary:
        pairs.write(Path(temporary), "test", made())
        table = Comparison(Pairs(Path(temporary), "test"), gan, load().evaluate.radius).scores()
    means = tables.by_corruption(table)
    print(f"{means.pairs.max()} photos at {SIDE} px, {folder}; {PROTOCOL}")
    for metric in RESTORATION:
        print(f"\n{metric}\n{tables.side_by_side(means, metric).loc[list(SETTINGS)].to_markdown(floatfmt='.4f')}")


def made() -> Iterator[Pair]:
    """Each test photo with a mask of each setting."""
    params = load().corrupt
    for photo in assign_splits(photos.index(PHOTOS), params.val, params.test)["test"]:
        picture = photos.read(PHOTOS, photo)
        for number, (name, setting) in enumerate(SETTINGS.items()):
            rng = np.random.default_rng([params.seed, photo.image_id, number])
            target = crops.crop_square(picture, rng, 1.0, SIDE)
            mask = draw(setting, rng)
            corrupted = np.where(mask[..., None], np.uint8(GREY), target)
            encoded = map(pairs.encode, (target, corrupted, mask.astype(np.uint8) * 255))
            yield Pair(photo.image_id, number, name, 0, float(mask.mean()), 0.0, *encoded)


def draw(setting: Setting, rng: np.random.Generator) -> np.ndarray:
    """A mask, bool HW, of at most `LARGEST` of the picture."""
    while True:
        boxed = rng.random() < setting.boxes / (1 + setting.boxes)
        mask = boxes(setting, rng) if boxed else strokes(setting, rng)
        if 0 < mask.mean() <= LARGEST:
            return mask.astype(bool)


def strokes(setting: Setting, rng: np.random.Generator) -> np.ndarray:
    """Polylines of 1 to 5 pieces, whose directions are one of four, mirrored in every second."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for number in range(rng.integers(*setting.strokes, endpoint=True)):
        at = rng.integers(SIDE, size=2)
        for _ in range(rng.integers(1, 6)):
            angle = (0.01 + rng.integers(4)) * (1 if number % 2 else -1)
            length = 10 + rng.integers(setting.length)
            end = np.clip(at + length * np.array([np.sin(angle), np.cos(angle)]), 0, SIDE).astype(int)
            cv2.line(mask, at.tolist(), end.tolist(), 1, int(5 + rng.integers(setting.width)))
            at = end
    return mask


def boxes(setting: Setting, rng: np.random.Generator) -> np.ndarray:
    """Rectangles, each at least `margin` px from the border."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(rng.integers(*setting.count, endpoint=True)):
        sides = rng.integers(*setting.side, size=2, endpoint=True)
        top, left = rng.integers(setting.margin, SIDE - setting.margin - sides + 1)
        mask[top : top + sides[0], left : left + sides[1]] = 1
    return mask


if __name__ == "__main__":
    with one_line_errors():
        main(options.model)
