"""What MLflow costs: seconds at the start of a training, and its share of a step.

    python -m benchmarks.tracking

Trains with the committed parameters on made-up pictures, and logs to an embedded store. Run the pipeline once before.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read(command_line.parser("python -m benchmarks.tracking", __doc__))

import os
import platform
import subprocess
import sys
import tempfile
import threading
import time

import psutil
import torch

from pipeline import lineage
from pipeline.params import load
from pipeline.runtime.errors import one_line_errors
from pipeline.tracking import client, live_run
from pipeline.training.curves import Curves
from pipeline.training.run import name_for_mlflow
from pipeline.training.trainer import Trainer

STEPS = 200


def main() -> None:
    """Print both."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    params = load()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        subprocess.run([sys.executable, "-c", "from pipeline.tracking.client import connect; connect()"], check=True)
        began = time.perf_counter()
        client.prepare(required=True)
        trainer, size = Trainer(params.train, torch.device("cpu")), params.corrupt.image_size
        fingerprint = lineage.fingerprint("train", {})
        own = time.perf_counter() - began
        began = time.perf_counter()
        with live_run.start(fingerprint, {}, "", required=True):
            waited = time.perf_counter() - began
        print(f"start: {waited:.1f} s for MLflow, after {own:.1f} s of the training's own, in which MLflow is imported")
        target, mask = torch.rand(params.train.batch, 3, size, size), torch.zeros(params.train.batch, 1, size, size)
        mask[..., : size // 4] = 1
        with live_run.start("benchmark", {}, "", required=True) as run:
            before, own = other_threads(), 0.0
            curves, began = Curves(), time.perf_counter()
            for step in range(STEPS):
                curves.add(trainer.step(step, (target, target, mask)))
                if curves.step % params.train.log_every == 0:
                    curves.add_point()
                    point = name_for_mlflow("train", curves.losses[-1])
                    logging = time.perf_counter()
                    run.points([point])
                    own += time.perf_counter() - logging
            taken = time.perf_counter() - began
            sending = other_threads() - before
    print(f"a step: {taken / STEPS * 1000:.0f} ms; a point every {params.train.log_every} steps")
    print(f"of it, the training waits for MLflow: {own / taken:.4%}")
    print(f"processor time of the threads that log, of one core: {sending / taken:.2%}")


def other_threads() -> float:
    """Processor seconds of the threads that Python has started beside this one."""
    ours = {thread.native_id for thread in threading.enumerate()} - {threading.get_native_id()}
    threads = psutil.Process().threads()
    return sum(thread.user_time + thread.system_time for thread in threads if thread.id in ours)


if __name__ == "__main__":
    with one_line_errors():
        main()
