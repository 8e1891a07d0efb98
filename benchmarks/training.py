"""Whether training waits for its data.

    python -m benchmarks.training

After a run of the pipeline.
"""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read(command_line.parser("python -m benchmarks.training", __doc__))

import os
import platform
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import torch

from pipeline.datasets.pairs import Pairs
from pipeline.networks.device import resolve_device
from pipeline.params import load
from pipeline.runtime.errors import one_line_errors
from pipeline.training.batches import Batch, training_batches
from pipeline.training.trainer import Trainer

ROUNDS, STEPS = 5, 40


def main() -> None:
    """Time a step on batches that lie in memory, and on batches that are drawn, in turns; print the medians."""
    params, device = load().train, resolve_device()
    pairs = Pairs(Path("data/pairs"), "train")
    trainer = Trainer(params, device)
    steps = range((ROUNDS + 1) * STEPS)
    drawn = training_batches(pairs, params, steps)
    held = list(islice(drawn, STEPS))
    fresh, again = training_batches(pairs, params, steps), cycle(held)
    timed(trainer, again)
    ratios, compute = [], []
    for _ in range(ROUNDS):
        pure, real = timed(trainer, again), timed(trainer, fresh)
        compute.append(pure)
        ratios.append(real / pure)
    load1 = os.getloadavg()[0]
    print(
        f"{platform.machine()}, {device}, {torch.get_num_threads()} threads, "
        f"load {load1:.1f}, torch {torch.__version__}"
    )
    print(f"{params.batch} pairs a step: {1000 * sorted(compute)[ROUNDS // 2]:.0f} ms of compute")
    print(f"a step on drawn batches: {sorted(ratios)[ROUNDS // 2]:.3f} times that")


def timed(trainer: Trainer, batches: Iterator[Batch]) -> float:
    """Seconds a step."""
    start = time.perf_counter()
    for batch in islice(batches, STEPS):
        trainer.step(0, batch)
    if trainer.device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / STEPS


if __name__ == "__main__":
    with one_line_errors():
        main()
