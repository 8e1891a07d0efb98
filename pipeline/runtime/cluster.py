"""Work on the workers of a Dask scheduler, which read and write the same folders as this machine.

Nothing here changes an out: a task is a pure function of what it is given. A worker that has other code or other
packages than the stage refuses its task; one that dies has its tasks done again elsewhere. When the stage ends, however
it ends, the scheduler drops what has not begun.
"""

import hashlib
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.runtime.environment import versions
from pipeline.runtime.errors import UserError, explain_os_error

PACKAGE = Path(__file__).parents[1]
LOOK = 2.0  # seconds between two looks at the workers
PATIENCE = 60  # seconds for the scheduler to answer, and for its first worker to join
QUIET = {"logging": {"distributed": "critical", "distributed.client": "critical", "tornado": "critical"}}


def _hash_code() -> str:
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


FACTS = versions() | {"the code of pipeline": _hash_code()}  # of when this process began to work: files may change


@contextmanager
def connect(address: str) -> Iterator[tuple[Callable[..., Future], int]]:
    """Yield `submit`, as that of an `Executor` of one argument, and how many tasks the workers run at once.

    Raises:
        UserError: Dask is not installed, the scheduler does not answer or is gone, it has no workers, or a task has
            cost it several of them.
    """
    try:
        import dask

        dask.config.set(QUIET)
        from distributed import Client, KilledWorker
    except ModuleNotFoundError:
        raise UserError("MENDLINE_SCHEDULER needs Dask; pip install 'mendline[cluster]'") from None
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError):
        raise UserError(f"{address}: no Dask scheduler answers; start one, or unset MENDLINE_SCHEDULER") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise UserError(f"{address}: no worker has joined for {PATIENCE} s; start dask worker {address}") from None
        executor, ended = client.get_executor(pure=False), threading.Event()
        threading.Thread(target=_watch, args=(client, address, ended), daemon=True).start()

        def submit(function: Callable, item: Any) -> Future:
            return executor.submit(run, FACTS, pickle.dumps((function, item)))

        try:
            yield submit, sum(client.nthreads().values())
        except KilledWorker as error:
            raise UserError(f"{address}: {_describe(error)}; give each worker more memory, and run again") from None
        except CancelledError:
            raise UserError(f"{address}: the scheduler is gone; start it again, and run again to go on") from None
        finally:
            ended.set()


def _watch(client: Any, address: str, ended: threading.Event) -> None:
    """Say so when all workers are gone: others may join, and the work goes on."""
    with suppress(OSError, RuntimeError, CancelledError):  # the client is being closed
        while not ended.wait(LOOK):
            if not client.nthreads():
                print(f"note: {address}: its workers are gone; start dask worker {address} to go on", file=sys.stderr)
                return


def run(expected: dict[str, str], call: bytes) -> Any:
    """In a worker: what the pickled function makes of its item.

    Raises:
        UserError: this worker is not as the stage expects; or its disk fails.
    """
    from distributed import get_worker

    here = get_worker().address
    for name, version in expected.items():
        if FACTS[name] != version:
            remedy = "start its workers anew from the same checkout and packages"
            raise UserError(f"worker {here}: has {FACTS[name]} of {name}, and the stage {version}; {remedy}")
    function, item = pickle.loads(call)
    try:
        return function(item)
    except OSError as error:
        raise UserError(f"worker {here}: {explain_os_error(error)}") from None


def _describe(error: Any) -> str:
    return f"a task has ended {error.allowed_failures + 1} workers, the last {error.last_worker.address}"
