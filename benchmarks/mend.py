"""Time and peak memory of restoring one picture, beside OpenCV's methods.

    python -m benchmarks.mend

Each measurement is a process of its own: the memory is its peak, with all libraries; the seconds are those of the
restoration alone, the model being loaded. The picture is a photograph of scikit-image's, enlarged, with scratches,
strokes and stains on it.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    parser = command_line.parser("python -m benchmarks.mend", __doc__)
    parser.add_argument("--only", nargs=2, metavar=("METHOD", "MEGAPIXELS"), help="print seconds and MiB of this alone")
    options = command_line.read(parser)

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
import pandas as pd
from skimage import data

from pipeline.corruptions import draw
from pipeline.inference.model_files import MODELS
from pipeline.inference.restorer import Restorer
from pipeline.params import load
from pipeline.runtime.errors import UserError, excerpt, one_line_errors

MEGAPIXELS = [0.25, 2, 12, 24]
RADIUS = 3


def methods() -> dict[str, Callable[[], Callable[[np.ndarray, np.ndarray], np.ndarray]]]:
    """What makes each method, by name."""
    return {
        "Telea": lambda: lambda image, hole: cv2.inpaint(image, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA),
        "Navier-Stokes": lambda: lambda image, hole: cv2.inpaint(image, hole.astype(np.uint8), RADIUS, cv2.INPAINT_NS),
        "GAN": Restorer.load,
        "GAN, ONNX": lambda: Restorer.load(MODELS / "restore/generator.onnx"),
    }


def picture(megapixels: float) -> tuple[np.ndarray, np.ndarray]:
    """A damaged picture of that size, 3 by 2, and its mask."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    image = cv2.resize(data.coffee(), (round(1.5 * height), height), interpolation=cv2.INTER_CUBIC)
    return draw.corrupt("mixed", image, np.random.default_rng(3), load().corrupt, None)


def measure(name: str, megapixels: str) -> None:
    """Print seconds and MiB of this process.

    Raises:
        UserError: no such method or size.
    """
    if name not in methods() or megapixels not in map(str, MEGAPIXELS):
        what = f"{excerpt(name)} of {excerpt(megapixels)} megapixels"
        raise UserError(f"{what} is not measured; expected one of {list(methods())}, of one of {MEGAPIXELS}")
    restore = methods()[name]()
    image, hole = picture(float(megapixels))
    restore(image[:64, :64], hole[:64, :64])
    start = time.perf_counter()
    restore(image, hole)
    print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Print the table."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    rows = []
    for megapixels in MEGAPIXELS:
        row = {"megapixels": megapixels, "hole": f"{picture(megapixels)[1].mean():.1%}"}
        for name in methods():
            command = [sys.executable, "-m", "benchmarks.mend", "--only", name, str(megapixels)]
            seconds, memory = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            row[name] = f"{float(seconds):.2f} s, {float(memory):.0f} MiB"
        rows.append(row)
    print(pd.DataFrame(rows).to_markdown(index=False))


if __name__ == "__main__":
    with one_line_errors():
        measure(*options.only) if options.only else main()
