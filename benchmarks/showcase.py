"""Restorations, or translations, of COCO test photos that may be shown, with credits.

    python -m benchmarks.showcase docs coco

After a run on MS-COCO: of the test pairs it takes those whose photo's license allows altered copies (CC BY,
no known copyright, US government), and writes `coco-grid.png` and `coco-credits.md`.
"""

from pathlib import Path

from pipeline.runtime import command_line

if __name__ == "__main__":
    parser = command_line.parser("python -m benchmarks.showcase", __doc__)
    parser.add_argument("folder", type=Path, help="where the two files go")
    parser.add_argument("name", help="what their names begin with")
    options = command_line.read(parser)

import json
from collections.abc import Iterable

import pandas as pd

from pipeline.datasets.pairs import Pairs
from pipeline.evaluate import MODEL, PAIRS, restore, translate
from pipeline.evaluation import figures, tables
from pipeline.images.grid import evenly_spaced
from pipeline.networks import device, weights
from pipeline.networks.translator import Translator
from pipeline.params import load
from pipeline.runtime.errors import one_line_errors

ROWS = 12
ANNOTATIONS = sorted(Path("data/coco/annotations").glob("*.json"))
FREE = [
    "Attribution License",
    "No known copyright restrictions",
    "United States Government Work",
]


def main(folder: Path, name: str) -> None:
    """Write the two files into `folder`."""
    license_ = pd.read_csv("data/coco/manifest.csv").set_index("image_id").license
    scores = pd.read_csv("metrics/scores.csv")
    gan = scores[scores.method == tables.trained(scores)].reset_index(drop=True)
    free = gan[gan.image_id.map(license_).isin(FREE)]
    groups = free.groupby("corruption")
    each = max(1, ROWS // len(groups))
    rows = [row for _, group in groups for row in evenly_spaced(list(group.index), each)]
    pairs, network = Pairs(PAIRS, "test"), weights.load(MODEL, device.resolve_device())
    translates = isinstance(network, Translator)
    contest = translate(pairs, network) if translates else restore(pairs, network, load().evaluate)
    looks = figures.TRANSLATED if translates else figures.RESTORED
    figures.side_by_side(contest, rows, scores, looks).save(folder / f"{name}-grid.png")
    (folder / f"{name}-credits.md").write_text(credits_of(gan.image_id[rows], f"{name}-grid.png"))


def credits_of(image_ids: Iterable[int], figure: str) -> str:
    """Where the photos of a figure come from, and their licenses."""
    manifest = pd.read_csv("data/coco/manifest.csv").set_index("image_id")
    images = [image for path in ANNOTATIONS for image in json.loads(path.read_text())["images"]]
    source = {image["id"]: image["flickr_url"] or image["coco_url"] for image in images}
    lines = [
        f"- {photo.split}/{photo.file_name}, [source]({source[photo.Index]}), [{photo.license}]({photo.license_url})\n"
        for photo in manifest.loc[sorted(set(image_ids))].itertuples()
    ]
    return f"The photos of `{figure}` are from MS-COCO 2017, cut to squares, scaled and altered:\n\n" + "".join(lines)


if __name__ == "__main__":
    with one_line_errors():
        main(options.folder, options.name)
