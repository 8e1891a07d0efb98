"""How long a host is waited for, and what is said meanwhile."""

import math
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, NoReturn, Self, TypeVar

from urllib3 import BaseHTTPResponse, Retry
from urllib3.exceptions import HTTPError, InvalidHeader

from pipeline.runtime.errors import UserError

Answer = TypeVar("Answer")

REPEATS = 8
PATIENCE = 45.0  # seconds in which a host with another behind it must bring `LEAST` bytes, or what was asked for
LEAST = 2**16
LONG, TELLING = 5.0, 30.0  # seconds: of a longer wait a line tells, and so often
CANCEL = Event()  # set: nobody waits for a host any longer


class Unavailable(UserError):
    """What this host cannot give; another may."""


class Patience:
    """How long a host may bring nothing. The threads that ask it share it."""

    def __init__(self, base: str, limit: float) -> None:
        self.base, self.limit = base, limit
        self._lock = Lock()
        self._last, self._told, self._bytes = monotonic(), -math.inf, 0
        self._spent = False

    def begin(self) -> None:
        """Count from now on.

        Raises:
            Unavailable: the host has been given up before.
        """
        if self._spent:
            self._give_up("it is given up")
        self._last = monotonic()

    def arrived(self, count: int, ended: bool) -> None:
        """So many bytes came, perhaps the last of what was asked for.

        Raises:
            Unavailable: they are too few for too long a time.
        """
        with self._lock:
            self._bytes += count
            if ended or self._bytes >= LEAST:
                self._last, self._bytes = monotonic(), 0
        self.left()

    def left(self) -> float:
        """Seconds, above 0, that may still be waited.

        Raises:
            Unavailable: none.
        """
        left = self._last + self.limit - monotonic()
        if left <= 0:
            self._give_up(f"next to nothing came for {self.limit:.0f} s")
        return left

    def wait(self, ask: Callable[[], Answer]) -> Answer:
        """What `ask` returns. Time limits of a socket begin anew with each byte; so it is asked in a thread of its own.

        Raises:
            Unavailable: it takes too long.
        """
        if self.limit == math.inf:
            return ask()
        answer: Future[Answer] = Future()

        def work() -> None:
            try:
                answer.set_result(ask())
            except BaseException as error:
                answer.set_exception(error)

        Thread(target=work, daemon=True).start()
        try:
            return answer.result(self.left())
        except TimeoutError:
            self._give_up(f"no answer came for {self.limit:.0f} s")

    def pause(self, seconds: float, cause: str) -> None:
        """Wait; a line says for what, where it takes long.

        Raises:
            Unavailable: the host is not worth so long a wait.
            CancelledError: `CANCEL` is set.
        """
        if seconds >= self.left():
            self._give_up(f"{cause}, to be asked again in {seconds:.0f} s")
        with self._lock:
            now = monotonic()
            if now + seconds - self._last >= LONG and now - self._told >= TELLING:
                self._told = now
                print(f"{self.base}: {cause}; asking again in {seconds:.0f} s", flush=True)
        if CANCEL.wait(seconds):
            raise CancelledError

    def _give_up(self, why: str) -> NoReturn:
        self._spent = True
        raise Unavailable(f"{self.base}: {why}; check download.coco.base_url")


class HostRetry(Retry):
    """urllib3's, with the patience that a host has."""

    patience = Patience("", math.inf)

    def new(self, **changes: Any) -> Self:
        """As urllib3 calls it after each failure."""
        later = super().new(**changes)
        later.patience = self.patience
        return later

    def of(self, patience: Patience) -> Self:
        """The same for another host."""
        later = self.new()
        later.patience = patience
        return later

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """The seconds that the answer asks for, at most `retry_after_max`; None where it names no time."""
        try:
            return super().get_retry_after(response)
        except (InvalidHeader, ValueError, OverflowError):  # neither a number nor a date, or a date of no calendar
            return None

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Pause as long as the answer asks, else the longer the more failures there were."""
        asked = self.get_retry_after(response) if response else None
        last = self.history[-1]
        cause = f"HTTP {last.status}" if last.status else reason(last.error or HTTPError("no answer"))
        self.patience.pause(asked or self.get_backoff_time(), cause)


RETRY = HostRetry(  # of one request, and of requests in a row that bring nothing; it honours Retry-After
    total=REPEATS,
    connect=2,  # a host that is not there soon shows
    backoff_factor=0.5,  # seconds; doubled each time
    backoff_jitter=0.5,
    backoff_max=30,
    retry_after_max=300,  # what a host may ask for; then the next one is better
    status_forcelist=(429, 500, 502, 503, 504),
)


def reason(error: Exception) -> str:
    """The cause at the bottom, without the pools and retries around it."""
    cause = error.args[0] if error.args else error
    return str(getattr(cause, "reason", None) or cause)
