"""What the stages cost by the number of pictures, on small synthetic ones; and what an engine adds.

    python -m benchmarks.scale 1000 10000

Works in a scratch clone of the last commit. CPU time, of a stage with all its workers, does not feel what else runs on
the machine, as seconds do. The memory is the peak of the largest process. DVC's part is `dvc commit`: it hashes the
outs and copies them to its cache. For the engines, two Dask workers are started on this machine, where Dask is
installed; a digest of the pairs shows that they are the same.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    parser = command_line.parser("python -m benchmarks.scale", __doc__)
    parser.add_argument("pictures", nargs="+", type=int, help="numbers of pictures")
    options = command_line.read(parser)

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from ruamel.yaml import YAML

from pipeline.runtime.errors import UserError, one_line_errors

SIDE = 96  # px of a picture
A_TAR = 1000  # pictures
DISTINCT = 50
STAGES = ("download", "corrupt", "evaluate")
PARAMS = {
    "download": {"source": "shards"},
    "corrupt": {"image_size": 64, "variants": 1, "test": 0.05, "val": 0.01},
    "evaluate": {"rows": 4},
}


def main(numbers: list[int]) -> None:
    """Print both tables."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; photos of {SIDE} px")
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", ".", str(clone)], check=True)
        shutil.copytree("models/general", clone / "data/model")
        lines = [line for count in numbers for line in measure(clone, count)]
        print(pd.DataFrame(lines).to_markdown(index=False, floatfmt=".1f"))
        print(pd.DataFrame(compare_engines(clone)).to_markdown(index=False, floatfmt=".1f"))


def measure(clone: Path, count: int) -> Iterator[dict[str, object]]:
    """A line for each stage."""
    write_tars(clone / "tars", count)
    yaml = YAML()
    params = yaml.load(clone / "params.yaml")
    for section, values in PARAMS.items():
        params[section].update(values)
    params["download"]["shards"]["urls"] = [f"tars/{{0..{(count - 1) // A_TAR}}}.tar"]
    yaml.dump(params, clone / "params.yaml")
    for stage in STAGES:
        spent, seconds, peak = run([sys.executable, "-m", f"pipeline.{stage}"], clone)
        dvc = run(["dvc", "commit", "--force", "--quiet", stage], clone)[0] if stage != "evaluate" else np.nan
        yield {
            "pictures": count,
            "stage": stage,
            "CPU s": spent,
            "seconds": seconds,
            "CPU ms a picture": 1000 * spent / count,
            "peak MB": peak / 1e6,
            "CPU s of DVC": dvc,
        }


def write_tars(folder: Path, count: int) -> None:
    """Smooth pictures with some noise, in the form of `download.source: shards`."""
    rng = np.random.default_rng(0)
    contents = []
    for _ in range(DISTINCT):
        coarse = Image.fromarray(rng.integers(256, size=(6, 6, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        noisy = (smooth + rng.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noisy).save(buffer, "JPEG", quality=90)
        contents.append(buffer.getvalue())
    folder.mkdir(exist_ok=True)
    for number in range(-(-count // A_TAR)):
        with tarfile.open(folder / f"{number}.tar", "w") as tar:
            for index in range(number * A_TAR, min(count, (number + 1) * A_TAR)):
                member = tarfile.TarInfo(f"{index:09}.jpg")
                member.size = len(contents[index % DISTINCT])
                tar.addfile(member, io.BytesIO(contents[index % DISTINCT]))


def run(command: list[str], folder: Path, **environment: str) -> tuple[float, float, int]:
    """CPU seconds of a command and all that it has started, seconds, and the peak of memory of one process in bytes.

    Raises:
        UserError: it failed; it has said why.
    """
    start = time.perf_counter()
    inherited = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, env=inherited | environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(f"{' '.join(command[1:])}: ended with {process.returncode}; see above")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss * 1024


def compare_engines(clone: Path) -> Iterator[dict[str, object]]:
    """A line for each engine that is installed: corrupt, on the last number of pictures."""
    command = [sys.executable, "-m", "pipeline.corrupt"]
    for workers in (1, 2):
        seconds = run(command, clone, MENDLINE_WORKERS=str(workers))[1]
        yield {"engine": f"own processes, {workers}", "seconds": seconds, "pairs": digest(clone)}
    if find_spec("distributed"):
        with dask_workers(clone, 2) as address:
            seconds = run(command, clone, MENDLINE_SCHEDULER=address)[1]
        yield {"engine": "Dask workers, 2", "seconds": seconds, "pairs": digest(clone)}


@contextmanager
def dask_workers(clone: Path, count: int) -> Iterator[str]:
    """The address of a scheduler with so many workers, on this machine."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(clone), os.environ.get("PYTHONPATH", "")])}
    facts, processes = clone / ".cache/scheduler.json", []

    def start(what: str, *more: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *more]
        processes.append(subprocess.Popen(command, cwd=clone, env=environment, stderr=subprocess.DEVNULL))

    try:
        start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(facts))
        while not facts.exists() or not facts.read_text():
            time.sleep(0.1)
        for _ in range(count):
            start("worker", "--scheduler-file", str(facts), "--no-nanny", "--nthreads", "1")
        yield json.loads(facts.read_text())["address"]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def digest(clone: Path) -> str:
    """Of all files of the pairs."""
    content = hashlib.sha256()
    for path in sorted((clone / "data/pairs").iterdir()):
        content.update(path.read_bytes())
    return content.hexdigest()[:8]


if __name__ == "__main__":
    with one_line_errors():
        main(options.pictures)
