"""One training in several processes: each takes its slice of every batch, and all take the same step.

`MENDLINE_PROCESSES` starts them on this machine; `torchrun` does on several. Rank 0 alone measures, saves and speaks.
"""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from pipeline.runtime import environment, stop
from pipeline.runtime.errors import UserError, one_line_errors

HOST = "127.0.0.1"
TIMEOUT = timedelta(hours=1)  # rank 0 validates meanwhile
POLL = 0.5  # seconds between two looks at the processes
KILLED = "where memory ran out, set a smaller train.batch or MENDLINE_PROCESSES; run again to go on"
GRACE = 60.0  # seconds that they have to save a checkpoint


def processes() -> int:
    """How many to start: 1 in a process that was started as one of several.

    Raises:
        UserError: `MENDLINE_PROCESSES` is not such a number.
    """
    asked = environment.processes()
    return 1 if "RANK" in os.environ else asked


def launch(work: Callable[[], None]) -> None:
    """Run `work` in as many processes as `processes` says, at once; end when all have ended.

    Raises:
        UserError: as `processes` does.
        SystemExit: a process failed, or was told to stop; it has said why.
    """
    count = processes()
    if count == 1:
        with _rank0_speaks():
            work()
        return
    from torch import multiprocessing

    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    context = multiprocessing.start_processes(_run_rank, (count, port, work), count, join=False, start_method="spawn")
    with stop.at_safe_points():
        try:
            while not context.join(POLL):
                if stop.asked():
                    sys.exit(1)
        except multiprocessing.ProcessExitedException as error:
            if error.signal_name not in (None, "SIGTERM"):
                print(f"error: a process of the training ended by {error.signal_name}; {KILLED}", file=sys.stderr)
            sys.exit(1)
        finally:
            _end_processes(context.processes)


def _end_processes(processes: list[Any]) -> None:
    """Tell them to stop, and do not wait for ever."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(GRACE)
        process.kill()


def _run_rank(rank: int, count: int, port: int, work: Callable[[], None]) -> None:
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ |= {name: str(number) for name, number in numbers.items()} | {"MASTER_ADDR": HOST}
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // count))
    stop.listen()
    with one_line_errors(), _rank0_speaks():
        work()


@contextmanager
def _rank0_speaks() -> Iterator[None]:
    """Let rank 0 alone say that the training was stopped, where all processes were told to."""
    try:
        yield
    except stop.Stopped:
        if os.environ.get("RANK", "0") != "0":
            sys.exit(1)
        raise


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Work with the other processes, where there are any.

    Raises:
        UserError: they cannot be reached, or the environment does not say how.
    """
    if "RANK" not in os.environ:
        yield
        return
    with _peer_errors():
        try:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
        except ValueError as error:
            raise UserError(f"RANK is set, but {error}; unset RANK, or start with torchrun") from None
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def _peer_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        stop.check()
        reason = str(error).splitlines()[0]
        raise UserError(f"train: rank {rank()}: the other processes are gone; run again to go on ({reason})") from None


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank_slice(batch: int) -> slice:
    """Which of the pairs of a batch are for this process.

    Raises:
        UserError: the batch cannot be shared out evenly.
    """
    if batch % world_size():
        raise UserError(f"train.batch is {batch}; expected a multiple of {world_size()}, the number of processes")
    return slice(rank(), None, world_size())


def all_reduce_mean(tensors: list[Tensor]) -> None:
    """Put the mean over the processes in the place of each tensor.

    Raises:
        UserError: another process has ended.
    """
    if world_size() == 1:
        return
    with _peer_errors():
        for sent in [dist.all_reduce(tensor, async_op=True) for tensor in tensors]:
            sent.wait()
    for tensor in tensors:
        tensor.div_(world_size())


def broadcast_object(value: Any) -> Any:
    """What rank 0 has, for all.

    Raises:
        UserError: another process has ended.
    """
    if world_size() == 1:
        return value
    held = [value]
    with _peer_errors():
        dist.broadcast_object_list(held, 0)
    return held[0]


def check_stop(device: torch.device) -> None:
    """To be called by all between two steps: when one of them was told to stop, all do, at the same step.

    Raises:
        Stopped: each of them, after the same step.
    """
    if world_size() == 1:
        stop.check()
        return
    asked = torch.tensor(float(stop.asked()), device=device)
    all_reduce_mean([asked])
    if asked:
        stop.ask("another of its processes")
        stop.check()
