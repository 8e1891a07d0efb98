"""Seconds of each stage of a first `dvc repro`, and of one that has nothing to do.

    python -m benchmarks.repro

Works in a scratch clone of the last commit, with the parameters that are committed.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read(command_line.parser("python -m benchmarks.repro", __doc__))

import os
import platform
import subprocess
import tempfile
import time

from pipeline.runtime.errors import one_line_errors

STAGES = ("download", "corrupt", "train", "evaluate")


def main() -> None:
    """Print a line for each stage, then the totals."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as clone:
        subprocess.run(["git", "clone", "--quiet", ".", clone], check=True)
        seconds = {stage: timed(["dvc", "repro", "--single-item", stage], clone) for stage in STAGES}
        nothing = timed(["dvc", "repro"], clone)
    for stage, taken in seconds.items():
        print(f"{stage:9} {taken:6.1f} s")
    print(f"{'all':9} {sum(seconds.values()):6.1f} s")
    print(f"{'no-op':9} {nothing:6.1f} s")


def timed(command: list[str], folder: str) -> float:
    """Wall-clock seconds of a command, which must succeed."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    with one_line_errors():
        main()
