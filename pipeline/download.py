"""Stage 1: photos and their annotations, from the source that `download.source` names, into `data/coco`."""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read_stage("download", __doc__)

import pandas as pd

from pipeline.datasets import photos
from pipeline.params import load
from pipeline.runtime.errors import one_line_errors
from pipeline.runtime.outputs import complete_outs
from pipeline.sources.registry import SOURCES
from pipeline.tracking import client, data_run

OUT = "data/coco"


def main() -> None:
    """Run the stage."""
    params = load()
    client.prepare(params.tracking.required)
    source = params.download.source
    with complete_outs(OUT) as (folder,):
        archives = SOURCES[source](getattr(params.download, source))
        manifest = pd.concat([photos.write(folder, *archive) for archive in archives])
        manifest.to_csv(folder / "manifest.csv", index=False)
    size = int(manifest["bytes"].sum())
    counts = ", ".join(f"{count} {name}" for name, count in manifest["split"].value_counts(sort=False).items())
    print(f"{len(manifest)} photos ({size / 1e6:.0f} MB) in {OUT}, {counts}")
    data_run.log("download", {"download/photos": len(manifest), "download/bytes": size}, [])


if __name__ == "__main__":
    with one_line_errors():
        main()
