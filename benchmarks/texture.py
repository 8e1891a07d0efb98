"""Pictures of what becomes of large holes and of objects that are taken out, to be looked at, with their credits.

    python -m benchmarks.texture docs

After a run on photographs: of its test photos that may be shown, the first `HOLES` with the holes of
`benchmarks.realism`, and objects of `LEAST` to `MOST` of as many photos as `REMOVALS`, at the photo's own size. None is
left out for how it looks. G'MIC is among the methods where its command `gmic` is installed.

With --blind, each case is written into a folder for judges besides: the hole, then the patches and G'MIC's as A and B
by chance; `key.csv` beside the folder says which is which.
"""

from pathlib import Path

from pipeline.runtime import command_line

if __name__ == "__main__":
    parser = command_line.parser("python -m benchmarks.texture", __doc__)
    parser.add_argument("folder", type=Path, help="where texture-holes.png, texture-removals.jpg and the credits go")
    parser.add_argument("--texture", metavar="MODEL", help="as that of mend")
    parser.add_argument("--blind", metavar="FOLDER", type=Path, help="a new folder, for judges; needs gmic")
    options = command_line.read(parser)

import shutil
from collections.abc import Iterator

import cv2
import numpy as np
import pandas as pd
from pycocotools import mask as coco_mask

from benchmarks.exemplar import damage, is_unknown
from benchmarks.realism import GMIC, gmic
from benchmarks.showcase import FREE, credits_of
from pipeline.datasets import photos
from pipeline.datasets.photos import Photo
from pipeline.datasets.silhouettes import read
from pipeline.datasets.splits import assign_splits
from pipeline.images.grid import image_grid
from pipeline.inference import exemplars, select_object
from pipeline.inference.restorer import Restorer
from pipeline.params import Corrupt, load
from pipeline.runtime import progress
from pipeline.runtime.errors import UserError, one_line_errors

STORE = Path("data/coco")
HOLES, REMOVALS = 12, 8
LEAST, MOST = 0.02, 0.15  # of the picture: an object's area
SHOWN = 256  # px: side of the square round an object that is shown
AROUND = 1.6  # times the longer side of its box is that square's, in the photo
PATCHES = "G'MIC matchpatch"


def main(folder: Path, texture: str | None, blind: Path | None) -> None:
    """Write the two pictures and what their photos are into `folder`."""
    if blind and not shutil.which("gmic"):
        raise UserError("--blind: gmic is not installed; install G'MIC's command, as Debian's package gmic has it")
    restorer = Restorer.load(texture=texture)
    license_ = pd.read_csv(STORE / "manifest.csv").set_index("image_id").license
    params = load().corrupt
    test = assign_splits(photos.index(STORE), params.val, params.test)["test"]
    free = [photo for photo in test if license_[photo.image_id] in FREE and is_unknown(photo.image_id)]
    shown = free[:HOLES]
    holes = [*show_holes(restorer, shown, params)]
    image_grid(holes, titles(bool(texture))).save(folder / "texture-holes.png")
    with_object = [*find_objects(free)][:REMOVALS]
    if not with_object:
        raise UserError(f"{STORE}: no annotated objects of {LEAST:.0%} to {MOST:.0%} of a picture; download MS-COCO")
    rows = [*show_removals(restorer, with_object)]
    image_grid(rows, titles(bool(texture))[:-1]).save(folder / "texture-removals.jpg", quality=90)
    if blind:
        write_blind(blind, [dict(zip(titles(bool(texture)), row, strict=False)) for row in holes + rows])
    ids = [photo.image_id for photo in (*shown, *(photo for photo, _ in with_object))]
    (folder / "texture-credits.md").write_text(credits_of(ids, "texture-holes.png` and `texture-removals.jpg"))


def write_blind(folder: Path, cases: list[dict[str, np.ndarray]]) -> None:
    """The cases, by `titles`, one picture each, and beside the folder what A and B are."""
    folder.mkdir()
    rng, key = np.random.default_rng(0), []
    for number, case in enumerate(cases):
        a, b = rng.permutation(["patches", PATCHES]).tolist()
        image_grid([[case["damaged"], case[a], case[b]]], ["", "A", "B"]).save(folder / f"{number:02}.png")
        key.append({"case": number, "A": a, "B": b})
    pd.DataFrame(key).to_csv(folder.with_name("key.csv"), index=False)


def titles(refined: bool) -> list[str]:
    """Over the columns."""
    peers = [PATCHES] if shutil.which("gmic") else []
    return ["damaged", "fidelity 1", "patches", *(["refined"] if refined else []), *peers, "original"]


def restorations(restorer: Restorer, image: np.ndarray, hole: np.ndarray) -> list[np.ndarray]:
    """What each method makes of a picture (uint8 RGB HW3) and its hole (bool HW)."""
    smooth = restorer.restore(image, hole, False, 1)
    patches = exemplars.complete(smooth, hole, hole, 0)
    peers = [gmic(GMIC[PATCHES])(image, hole)] if shutil.which("gmic") else []
    refined = [restorer.restore(image, hole, False, 0)] if restorer.refine else []
    return [smooth, patches, *refined, *peers]


def show_holes(restorer: Restorer, shown: list[Photo], params: Corrupt) -> Iterator[list[np.ndarray]]:
    """A row for each photo."""
    for number, photo in enumerate(progress.bar(shown, "holes", len(shown), "photo")):
        image, hole, target = damage(photos.read(STORE, photo), number, params)
        row = [np.where(hole[..., None], np.uint8(128), target), *restorations(restorer, image, hole), target]
        yield [cv2.resize(each, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) for each in row]


def find_objects(free: list[Photo]) -> Iterator[tuple[Photo, np.ndarray]]:
    """The photos that have an object of the right size, and the mask of the first such."""
    silhouettes = read(STORE)
    for photo in free:
        for silhouette in silhouettes.get(photo.image_id, []):
            height, width = silhouette.rle["size"]
            if LEAST <= silhouette.area / (height * width) <= MOST:
                yield photo, select_object.with_rim(coco_mask.decode(silhouette.rle).astype(bool))
                break


def show_removals(restorer: Restorer, with_object: list[tuple[Photo, np.ndarray]]) -> Iterator[list[np.ndarray]]:
    """A row for each photo: the square round the object."""
    for photo, hole in progress.bar(with_object, "removals", len(with_object), "photo"):
        image = photos.read(STORE, photo)
        row = [np.where(hole[..., None], np.uint8(128), image), *restorations(restorer, image, hole)]
        yield [crop(each, hole) for each in row]


def crop(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The square round a hole, `SHOWN` px; at the picture's edge it is moved inwards."""
    rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
    longer = max(np.ptp(rows), np.ptp(columns)) + 1
    side = min(*hole.shape, round(AROUND * longer))
    top, left = (
        min(max(0, int(each[0] + each[-1] + 1 - side) // 2), size - side)
        for each, size in zip((rows, columns), hole.shape, strict=True)
    )
    return cv2.resize(picture[top : top + side, left : left + side], (SHOWN, SHOWN), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    with one_line_errors():
        main(options.folder, options.texture, options.blind)
