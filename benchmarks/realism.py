"""How real large holes look once they are filled, beside how near they are to what was there.

    python -m benchmarks.realism
    python -m benchmarks.realism --photos FOLDER --texture data/model

After a run on photographs: up to `COUNT` of its test photos, or of a folder's photos, those that `models/restore` was
trained on aside; their middle squares at 128 px, each with an opaque hole of 10 to 40 %. The networks that judge come
by `make perceptual`; G'MIC is among the methods where its command `gmic` is installed.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    parser = command_line.parser("python -m benchmarks.realism", __doc__)
    parser.add_argument("--photos", metavar="FOLDER", help="a folder of photos to take instead of the run's")
    parser.add_argument("--texture", metavar="MODEL", help="as that of mend")
    options = command_line.read(parser)

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from PIL import Image

from benchmarks.exemplar import LEAST, MOST, SIDE, damage, is_unknown, unknown
from pipeline.datasets import photos
from pipeline.datasets.splits import assign_splits
from pipeline.evaluation.baselines import fsr, shift_map, telea
from pipeline.images.decode import decode
from pipeline.inference import exemplars
from pipeline.inference.pyramid import Network
from pipeline.inference.restorer import Restorer
from pipeline.metrics import feature_networks, perceptual
from pipeline.metrics.feature_networks import FEATURE_NETWORKS
from pipeline.metrics.image_quality import scores
from pipeline.networks.pretrained import PRETRAINED
from pipeline.params import Corrupt, load
from pipeline.runtime import progress
from pipeline.runtime.errors import UserError, one_line_errors

STORE = Path("data/coco")
COUNT, FEWEST = 60, 20
BATCH = 10  # pictures
HALVINGS = 50  # of the originals, for the noise floor
LP = {"LP-SQ": "squeezenet", "LP-VGG": "vgg16"}
FIRST = "fidelity 1: the generator"
ORIGINAL, FLOOR = "original", "original, half against half"
GMIC = {"G'MIC matchpatch": "inpaint_matchpatch", "G'MIC pde": "inpaint_pde"}

Method = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(damaged picture uint8 RGB HW3, hole bool HW) -> restored picture."""

Statistic = Callable[[str, np.ndarray], float]
"""(name of a method, indices of pictures) -> what the method gets for them."""


def main(folder: Path | None, texture: str | None) -> None:
    """Print the table."""
    networks = {name: feature_networks.load(name) for name in FEATURE_NETWORKS}
    cases = damaged_photos(folder, load().corrupt)
    _, holes, targets = (np.stack(column) for column in zip(*cases, strict=True))
    restored = {
        name: np.stack([method(image, hole) for image, hole, _ in progress.bar(cases, name, len(cases), "photo")])
        for name, method in methods(texture).items()
    }
    pictures = restored | {ORIGINAL: targets}
    quality = {name: scores(filled, targets, holes)["psnr_hole"] for name, filled in restored.items()}
    statistics = {"hole PSNR": mean_of(quality)}
    statistics |= {column: mean_of(distances(networks[name], name, pictures, holes)) for column, name in LP.items()}
    pooled = {name: hole_features(networks["squeezenet"], each, holes) for name, each in pictures.items()}
    floors = {}
    for number, tap in enumerate(perceptual.KID_TAPS):
        features = {name: layers[number] for name, layers in pooled.items()}
        statistics[f"KID {tap}"] = kid_of(features)
        floors[f"KID {tap}"] = f"{floor(features[ORIGINAL]):.3f}"
    for period in perceptual.PERIODS:
        found = {name: perceptual.lattice(each, holes, period) for name, each in pictures.items()}
        statistics[f"lattice {period}"] = mean_of(found)
    table = pd.DataFrame(
        {column: {name: cell(each, name, len(cases)) for name in restored} for column, each in statistics.items()}
    )
    every = np.arange(len(cases))
    originals = {column: f"{each(ORIGINAL, every):.3f}" for column, each in statistics.items() if "lattice" in column}
    rest = pd.DataFrame({ORIGINAL: originals, FLOOR: floors}).T
    given = [f" --photos {folder}" if folder else "", f" --texture {texture}" if texture else ""]
    print(f"$ python -m benchmarks.realism{''.join(given)}")
    print(f"{len(cases)} photos at {SIDE} px, holes of {LEAST:.0%} to {MOST:.0%}")
    print(f"{platform.machine()}, {os.cpu_count()} cores; {', '.join(peers())}")
    print(perceptual.PROTOCOL)
    print("±: standard error of the difference from the first line, by the jackknife over photos")
    print(pd.concat([table, rest]).fillna("").to_markdown(disable_numparse=True))


def damaged_photos(folder: Path | None, params: Corrupt) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Damaged picture, hole and original of each photo.

    Raises:
        UserError: there are too few.
    """
    if folder:
        read = [lambda path=path: decode(path.read_bytes(), str(path)) for path in unknown(folder)]
    else:
        test = assign_splits(photos.index(STORE), params.val, params.test)["test"]
        read = [lambda photo=photo: photos.read(STORE, photo) for photo in test if is_unknown(photo.image_id)]
    if len(read) < FEWEST:
        raise UserError(f"{folder or STORE}: {len(read)} photos that can be taken; {FEWEST} are needed")
    return [damage(photo(), number, params) for number, photo in enumerate(read[:COUNT])]


def methods(texture: str | None) -> dict[str, Method]:
    """By name; the first is what the others are compared with."""
    restorer = Restorer.load(texture=texture)

    def generator(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        return restorer.restore(image, hole, False, 1)

    def textured(refine: Network | None, fidelity: float) -> Method:
        return lambda image, hole: exemplars.complete(generator(image, hole), hole, hole, fidelity, refine)

    refined = {"fidelity 0": textured(restorer.refine, 0), "fidelity 0.5": textured(restorer.refine, 0.5)}
    return {
        FIRST: generator,
        "patches alone": textured(None, 0),
        **(refined if restorer.refine else {}),
        "Telea": lambda image, hole: telea(image, hole, 3),
        "FSR": fsr,
        "shift map": shift_map,
        **({name: gmic(command) for name, command in GMIC.items()} if shutil.which("gmic") else {}),
    }


def gmic(command: str) -> Method:
    """One of G'MIC's commands, as its program `gmic` has it."""

    def restore(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            Image.fromarray(image).save(f"{folder}/image.png")
            Image.fromarray(hole.astype(np.uint8) * 255).save(f"{folder}/hole.png")
            steps = f"image.png hole.png {command}[0] [1] keep[0] output out.png"
            subprocess.run(["gmic", *steps.split()], cwd=folder, check=True, capture_output=True)
            return np.where(hole[..., None], np.asarray(Image.open(f"{folder}/out.png").convert("RGB")), image)

    return restore


def peers() -> list[str]:
    """The programs that compute, with their versions."""
    named = [f"OpenCV {cv2.__version__}", f"PyTorch {torch.__version__}"]
    if shutil.which("gmic"):
        said = subprocess.run(["gmic", "version"], capture_output=True, text=True, check=True)
        version = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
        named.append(f"G'MIC {version[0] if version else 'of unknown version'}")
    return [*named, *(f"{PRETRAINED[name].label} of {PRETRAINED[name].requirement}" for name in FEATURE_NETWORKS)]


def distances(
    layers: torch.nn.Sequential, name: str, pictures: dict[str, np.ndarray], holes: np.ndarray
) -> dict[str, np.ndarray]:
    """The distance of each method's pictures from the originals, in a network's features."""
    taps = FEATURE_NETWORKS[name].taps
    found: dict[str, list[np.ndarray]] = {method: [] for method in pictures}
    for first in progress.bar(range(0, len(holes), BATCH), PRETRAINED[name].label, -(-len(holes) // BATCH), "batch"):
        batch = slice(first, first + BATCH)
        features = {method: perceptual.unit_features(layers, taps, each[batch]) for method, each in pictures.items()}
        for method, ours in features.items():
            found[method].append(perceptual.feature_distance(ours, features[ORIGINAL], holes[batch]))
    return {method: np.concatenate(each) for method, each in found.items()}


def hole_features(layers: torch.nn.Sequential, pictures: np.ndarray, holes: np.ndarray) -> list[np.ndarray]:
    """`perceptual.hole_features` of the layers that KID compares, in batches."""
    taps = tuple(perceptual.KID_TAPS.values())
    batches = [slice(first, first + BATCH) for first in range(0, len(holes), BATCH)]
    found = [perceptual.hole_features(layers, taps, pictures[batch], holes[batch]) for batch in batches]
    return [np.concatenate(each) for each in zip(*found, strict=True)]


def mean_of(values: dict[str, np.ndarray]) -> Statistic:
    """The mean over pictures, those aside that have no value."""
    return lambda name, rows: float(np.nanmean(values[name][rows]))


def kid_of(features: dict[str, np.ndarray]) -> Statistic:
    """The kernel distance from the originals."""
    return lambda name, rows: perceptual.kernel_distance(features[name][rows], features[ORIGINAL][rows])


def floor(features: np.ndarray) -> float:
    """The kernel distance that originals have from others: the root mean square over random halvings."""
    rng, half, found = np.random.default_rng(0), len(features) // 2, []
    for _ in range(HALVINGS):
        drawn = features[rng.permutation(len(features))]
        found.append(perceptual.kernel_distance(drawn[:half], drawn[half : 2 * half]))
    return float(np.sqrt(np.mean(np.square(found))))


def cell(statistic: Statistic, name: str, count: int) -> str:
    """The value of a method, and the standard error of its difference from the first method's.

    The jackknife of Quenouille and Tukey: each picture is left out once, of both methods and of the originals.
    """
    every = np.arange(count)
    value = statistic(name, every)
    if name == FIRST:
        return f"{value:.3f}"
    left = [np.delete(every, row) for row in every]
    differences = np.array([statistic(name, rows) - statistic(FIRST, rows) for rows in left])
    return f"{value:.3f} ± {np.sqrt((count - 1) * differences.var()):.3f}"


if __name__ == "__main__":
    with one_line_errors():
        main(Path(options.photos) if options.photos else None, options.texture)
