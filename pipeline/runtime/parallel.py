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

from pipeline.runtime import environment
from pipeline.runtime.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 64  # results that may wait for their turn, unless told: they lie in memory


def in_processes(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`map`, in fresh processes that end with this one, even when it is killed; or on the workers of a Dask scheduler.

    A single worker is this process itself. The function and the items are pickled; on a scheduler's workers they must
    not be of `__main__`.
    """
    if address := environment.scheduler():
        from pipeline.runtime import cluster

        with cluster.connect(address) as (submit, workers):
            yield from _in_order(submit, function, items, max(AHEAD, 2 * workers))
        return
    if environment.workers() == 1:
        yield from map(function, items)
        return
    yield from in_processes_here(function, items)


def in_processes_here(
    function: Callable[[Item], Result], items: Iterable[Item], ahead: int = AHEAD
) -> Iterator[Result]:
    """`in_processes`, on this machine and beside this process always."""
    context = multiprocessing.get_context("spawn")
    with _signals_for_parent():  # multiprocessing's own tracker of resources starts here
        pool = ProcessPoolExecutor(environment.workers(), context, initializer=_follow_parent)
    with _ended(pool):
        yield from _in_order(pool.submit, function, items, ahead)


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int = AHEAD
) -> Iterator[Result]:
    """`map`, for what waits for a disk or a network, or works outside Python's lock as decoders do."""
    with _ended(ThreadPoolExecutor(threads)) as pool:
        yield from _in_order(pool.submit, function, items, ahead)


def _in_order(
    submit: Callable[[Callable[[Item], Result], Item], Future[Result]],
    function: Callable[[Item], Result],
    items: Iterable[Item],
    ahead: int,
) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    for item in items:
        with _signals_for_parent():
            waiting.append(submit(function, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def _ended(pool: Executor) -> Iterator[Executor]:
    try:
        yield pool
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
