"""Pairs a second of the corrupt stage, by number of workers.

    python -m benchmarks.corrupt

Reads `data/coco` and `params.yaml` as the stage does and writes nothing. Each number of workers is timed from the
first finished photo on, so that the start of the processes, which a long run does not feel, is left out.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read(command_line.parser("python -m benchmarks.corrupt", __doc__))

import os
import platform
import time
from functools import partial

from pipeline import corrupt
from pipeline.corruptions import object as cutout
from pipeline.corruptions import photo_pairs
from pipeline.datasets import photos
from pipeline.datasets.splits import assign_splits
from pipeline.params import load
from pipeline.runtime import parallel
from pipeline.runtime.errors import one_line_errors


def main() -> None:
    """Print a line for each number of workers."""
    params = cutout.cap_area(load().corrupt)
    splits = assign_splits(photos.index(corrupt.PHOTOS), params.val, params.test)
    candidates = photo_pairs.list_fitting_silhouettes(corrupt.PHOTOS, splits, params)
    jobs = [job for split in splits for job in photo_pairs.plan(split, splits[split], candidates[split], params)]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {params.image_size} px")
    alone = 0.0
    for workers in range(1, (os.cpu_count() or 1) + 1):
        os.environ["MENDLINE_WORKERS"] = str(workers)
        done = parallel.in_processes(partial(photo_pairs.make_pairs, corrupt.PHOTOS, params=params), jobs)
        next(done)
        start = time.perf_counter()
        pairs = sum(len(made) for made in done)
        rate = pairs / (time.perf_counter() - start)
        alone = alone or rate
        print(f"{workers} workers: {rate:.0f} pairs a second, {rate / alone:.2f} times one worker's")


if __name__ == "__main__":
    with one_line_errors():
        main()
