"""Work shared out to several processes or threads; the results come in the order of the items, whatever the number."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from pipeline.runtime.environment import workers
from pipeline.runtime.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 64  # results that may wait for their turn, unless told: they lie in memory


def in_processes(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`map`, in fresh processes that end with this one, even when it is killed."""
    context = multiprocessing.get_context("spawn")
    with _signals_for_parent():  # multiprocessing's own tracker of resources starts here
        pool = ProcessPoolExecutor(workers(), context, initializer=_follow_parent)
    return _in_order(pool, function, items)


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int = AHEAD
) -> Iterator[Result]:
    """`map`, for what waits for a disk or a network, or works outside Python's lock as decoders do."""
    return _in_order(ThreadPoolExecutor(threads), function, items, ahead)


def _in_order(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int = AHEAD
) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            with _signals_for_parent():
                waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenExecutor:
        raise UserError("a worker was killed, perhaps for want of memory; set a smaller MENDLINE_WORKERS") from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _signals_for_parent() -> Iterator[None]:
    """A process that starts inside never sees Ctrl-C or a closed terminal: its parent does, and ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
