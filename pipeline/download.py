"""Stage 1: photos and their annotations, from the source that `download.source` names, into `data/coco`."""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read_stage("download", __doc__)

import os
from collections.abc import Iterator
from typing import Any

import pandas as pd

from pipeline import lineage
from pipeline.datasets import photos
from pipeline.params import Download, load
from pipeline.runtime.errors import one_line_errors
from pipeline.runtime.outputs import complete_outs
from pipeline.sources import folder
from pipeline.sources.coco import source as coco
from pipeline.sources.sample import source as sample
from pipeline.tracking import client, data_run

OUT = "data/coco"
CACHE = lineage.root() / (os.environ.get("MENDLINE_CACHE") or ".cache") / "coco"


def main() -> None:
    """Run the stage."""
    params = load()
    client.prepare(params.tracking.required)
    with complete_outs(OUT) as (folder_out,):
        splits = _read(params.download)
        manifest = pd.concat([photos.write(folder_out, *split) for split in splits])
        manifest.to_csv(folder_out / "manifest.csv", index=False)
    size = int(manifest["bytes"].sum())
    counts = ", ".join(f"{count} {split}" for split, count in manifest["split"].value_counts(sort=False).items())
    print(f"{len(manifest)} photos ({size / 1e6:.0f} MB) in {OUT}, {counts}")
    data_run.log("download", {"download/photos": len(manifest), "download/bytes": size}, [])


def _read(download: Download) -> Iterator[tuple[str, dict[str, Any], Iterator[bytes]]]:
    """Each split: its name, its COCO instances dictionary, and its photos in that order."""
    match download.source:
        case "sample":
            yield sample.read(download.sample)
        case "coco":
            yield from coco.read(download.coco, CACHE)
        case "folder":
            yield folder.read(download.folder)


if __name__ == "__main__":
    with one_line_errors():
        main()
