"""What texture costs and what it takes: large holes completed with patches, beside the fill that guides them.

    python -m benchmarks.exemplar PHOTOS

Of a folder of photos, `COUNT` that `models/restore` was not trained on, their middle squares at `SIDE` px, each with an
opaque hole of 10 to 40 %. The seconds are those of a core; of patches, and of fidelity below 1, those of the
completion alone, which comes after the generator's.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    parser = command_line.parser("python -m benchmarks.exemplar", __doc__)
    parser.add_argument("photos", help="a folder of photos")
    parser.add_argument("--figure", help="a picture to write: of each photo the hole, and what each method makes of it")
    options = command_line.read(parser)

import platform
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from pipeline.corruptions import draw
from pipeline.evaluation.baselines import telea
from pipeline.images.decode import decode
from pipeline.images.formats import list_pictures
from pipeline.images.grid import image_grid
from pipeline.inference import exemplars, pyramid
from pipeline.inference.model_files import MODELS
from pipeline.inference.restorer import Restorer
from pipeline.metrics.image_quality import scores
from pipeline.params import Corrupt, load
from pipeline.priors import exemplar_fill
from pipeline.runtime.errors import UserError, one_line_errors

COUNT, SIDE = 40, 128
KINDS = ["occlusion", "freeform"]
LEAST, MOST = 0.1, 0.4  # of the picture: the hole's area


def main(folder: Path, figure: Path | None) -> None:
    """Print the hole's PSNR and seconds by method."""
    cv2.setNumThreads(1)
    restorer, lines, rows = Restorer.load(), [], []
    for image, hole, target in cases(folder):
        restored = restorer.restore(image, hole, False, 1)
        methods: dict[str, Callable[[], np.ndarray]] = {
            "Telea": partial(telea, image, hole, 3),
            "fidelity 1: the generator": partial(restorer.restore, image, hole, False, 1),
            **{
                f"fidelity {fidelity}": partial(exemplars.complete, restored, hole, hole, fidelity)
                for fidelity in (0.5, 0.0)
            },
            "patches, guidance 1.5": partial(complete, restored, hole),
        }
        shown = [np.where(hole[..., None], np.uint8(128), target)]
        for name, method in methods.items():
            started = time.process_time()
            result = method()
            seconds = time.process_time() - started
            found = scores(result[None], target[None], hole[None])
            lines.append({"method": name, "hole PSNR": found["psnr_hole"][0], "CPU s": seconds})
            shown.append(result)
        rows.append([*shown, target])
    print(f"$ python -m benchmarks.exemplar {folder}")
    print(f"{len(rows)} photos at {SIDE} px, holes of {LEAST:.0%} to {MOST:.0%}")
    print(f"{platform.machine()}, one core; OpenCV {cv2.__version__}")
    table = pd.DataFrame(lines).groupby("method", sort=False).mean()
    print(table.to_markdown(floatfmt=("", ".2f", ".3f")))
    if figure:
        image_grid(rows, ["damaged", *table.index, "original"]).save(figure)


def complete(restored: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """A restored picture, uint8 HW3, with its hole completed by patches alone."""
    return pyramid.as_kind(exemplar_fill.fill(pyramid.as_float(restored), hole), restored.dtype)


def cases(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Damaged picture, hole and original; uint8 RGB HW3 and bool HW.

    Raises:
        UserError: the folder has too few photos that the model does not know.
    """
    photos = unknown(folder)
    if len(photos) < COUNT:
        raise UserError(f"{folder}: {len(photos)} photos that models/restore was not trained on; {COUNT} are needed")
    params = load().corrupt
    for number, path in enumerate(photos[:COUNT]):
        yield damage(decode(path.read_bytes(), str(path)), number, params)


def unknown(folder: Path) -> list[Path]:
    """The photos of a folder, those that `models/restore` was trained on aside."""
    paths = list_pictures(folder)
    return [folder / path for path in paths if not path.stem.isdecimal() or is_unknown(int(path.stem))]


def is_unknown(image_id: int) -> bool:
    """Whether `models/restore` was not trained on this photo of COCO."""
    return image_id not in _trained()


@cache
def _trained() -> set[int]:
    return set(pd.read_csv(MODELS / "restore/photos.csv")["image_id"])


def damage(photo: np.ndarray, number: int, params: Corrupt) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middle square of a photo (uint8 RGB HW3) with a hole of 10 to 40 %, the hole and the square itself.

    Its number is the draw, and decides the kind.
    """
    picture = Image.fromarray(photo)
    side = min(picture.size)
    left, top = ((whole - side) // 2 for whole in picture.size)
    box = left, top, left + side, top + side
    target = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box))
    rng, share = np.random.default_rng([params.seed, number]), 0.0
    while not LEAST <= share <= MOST:
        image, hole = draw.corrupt(KINDS[number % len(KINDS)], target, rng, params, None)
        share = hole.mean()
    return image, hole, target


if __name__ == "__main__":
    with one_line_errors():
        main(Path(options.photos), Path(options.figure) if options.figure else None)
