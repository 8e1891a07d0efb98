"""One training in several processes: each restores its share of every batch, and all take the same step.

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

from pipeline.runtime import stop
from pipeline.runtime.errors import UserError, one_line_errors
from pipeline.runtime.parallel import number_in

HOST = "127.0.0.1"
PATIENCE = timedelta(hours=1)  # rank 0 validates meanwhile
LOOK = 0.5  # seconds between two looks at the processes
KILLED = "where memory ran out, set a smaller train.batch or MENDLINE_PROCESSES; run again to go on"
LAST_WORDS = 60.0  # seconds that they have to keep a checkpoint


def processes() -> int:
    """The environment variable `MENDLINE_PROCESSES`, else 1; 1 in a process that was started as one of several.

    Raises:
        UserError: the variable is not such a number.
    """
    asked = number_in("MENDLINE_PROCESSES", 1)
    return 1 if "RANK" in os.environ else asked


def start_processes(count: int, work: Callable[[], None]) -> None:
    """Run `work` in so many processes at once; end when all have ended.

    Raises:
        SystemExit: a process failed, or was told to stop; it has said why.
    """
    from torch import multiprocessing

    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    context = multiprocessing.start_processes(_rank, (count, port, work), count, join=False, start_method="spawn")
    with stop.at_safe_points():
        try:
            while not context.join(LOOK):
                if stop.asked():
                    sys.exit(1)
        except multiprocessing.ProcessExitedException as error:
            if error.signal_name not in (None, "SIGTERM"):
                print(f"error: a process of the training ended by {error.signal_name}; {KILLED}", file=sys.stderr)
            sys.exit(1)
        finally:
            _end(context.processes)


def _end(processes: list[Any]) -> None:
    """Tell them to stop, and do not wait for ever."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(LAST_WORDS)
        process.kill()


def _rank(rank: int, count: int, port: int, work: Callable[[], None]) -> None:
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ |= {name: str(number) for name, number in numbers.items()} | {"MASTER_ADDR": HOST}
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // count))
    stop.listen()
    with one_line_errors():
        work()


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Work with the other processes, where there are any.

    Raises:
        UserError: they cannot be reached, or the environment does not say how.
    """
    if "RANK" not in os.environ:
        yield
        return
    with _together():
        try:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        except ValueError as error:
            raise UserError(f"RANK is set, but {error}; unset RANK, or start with torchrun") from None
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def _together() -> Iterator[None]:
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
    with _together():
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
    with _together():
        dist.broadcast_object_list(held, 0)
    return held[0]


def check_stop(device: torch.device) -> None:
    """To be called by all between two steps: when one of them was told to stop, all do, at the same step.

    Raises:
        Stopped: in rank 0, which keeps a checkpoint and says so.
        SystemExit: in the others, without a word.
    """
    if world_size() == 1:
        stop.check()
        return
    asked = torch.tensor(float(stop.asked()), device=device)
    all_reduce_mean([asked])
    if asked:
        if rank():
            sys.exit(1)
        stop.ask("another of its processes")
        stop.check()
