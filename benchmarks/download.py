"""Seconds and megabytes of the download stage, beside what one does without it.

    python -m benchmarks.download http://127.0.0.1:8017 [CATEGORY]

The host is laid out like MS-COCO's; megabytes are shown if it counts them at `/stats`. The first contest is for the
whole of val2017, against `curl` of its zip and `unzip`. The second is for 100 photos that show the category (default:
person) and their annotations, against `curl` and `unzip` of the zip and of all annotations, which is what
torchvision's `CocoDetection` needs on disk. Of the stage two times are shown: until `data/coco` is there, and until
its MLflow run is logged too, which takes the same few seconds whatever the download.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    parser = command_line.parser("python -m benchmarks.download", __doc__)
    parser.add_argument("url", help="of the host")
    parser.add_argument("category", nargs="?", default="person", help="of the second contest (default: %(default)s)")
    options = command_line.read(parser)

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import requests
from mlflow import MlflowClient
from ruamel.yaml import YAML

from pipeline.runtime.errors import one_line_errors

ANNOTATIONS = "annotations/annotations_trainval2017.zip"


def main(url: str, category: str) -> None:
    """Print a line for each contestant, with seconds as a ratio to the peer of the same contest."""
    sent(url)  # a host that is not there shows at once
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {url}")
    whole, some = {"limit": 0}, {"limit": 100, "categories": [category]}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        MlflowClient().search_experiments()  # creates the store, which takes seconds and is done once
        contest("all of val2017", url, whole, ["zips/val2017.zip"])
        contest(f"100 photos of val2017 with a {category}", url, some, ["zips/val2017.zip", ANNOTATIONS])


def contest(name: str, url: str, choice: dict, archives: list[str]) -> None:
    """Time `curl` and `unzip` of the archives, then the stage with this choice of `download.coco`."""
    print(name)
    (peer,), peer_size = timed(url, lambda folder: curl_and_unzip(url, archives, folder))
    (there, logged), size = timed(url, lambda folder: stage(url, choice, folder))
    print(f"  curl and unzip {peer:7.1f} s  1.00 times  {peer_size}")
    print(f"  download stage {there:7.1f} s  {there / peer:.2f} times  {size}")
    print(f"  and MLflow run {logged:7.1f} s  {logged / peer:.2f} times")


def timed(url: str, work: Callable[[Path], list[float]]) -> tuple[list[float], str]:
    """Seconds that the work took by each of its moments, and the megabytes that the host sent meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        before, start = sent(url), time.perf_counter()
        seconds = [moment - start for moment in work(Path(folder))]
        after = sent(url)
    return seconds, "" if before is None or after is None else f"{(after - before) / 1e6:.1f} MB"


def sent(url: str) -> int | None:
    """Bytes that the host has sent so far, if it counts them."""
    answer = requests.get(f"{url}/stats", timeout=10)
    return answer.json()["bytes"] if answer.ok else None


def curl_and_unzip(url: str, archives: list[str], folder: Path) -> list[float]:
    """Fetch the archives and unpack them; return the moment that they are there."""
    for archive in archives:
        subprocess.run(["curl", "--silent", "--fail", "--remote-name", f"{url}/{archive}"], cwd=folder, check=True)
        subprocess.run(["unzip", "-q", Path(archive).name], cwd=folder, check=True)
    return [time.perf_counter()]


def stage(url: str, choice: dict, folder: Path) -> list[float]:
    """Run the stage as `dvc repro` does, with an empty cache; return the moments of its last line and of its end."""
    params = YAML(typ="safe").load(Path("params.yaml"))
    params["download"]["source"] = "coco"
    params["download"]["coco"] |= {"base_url": url, "split": "val2017"} | choice
    YAML(typ="safe").dump(params, folder / "params.yaml")
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-u", "-m", "pipeline.download"]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or []:
            if "in data/coco" in line:
                there = time.perf_counter()
    if process.returncode:
        sys.exit(process.returncode)
    return [there, time.perf_counter()]


if __name__ == "__main__":
    with one_line_errors():
        main(options.url, options.category)
