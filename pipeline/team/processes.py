"""The programs of a server, as children that end with it and are started again when they end alone."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.runtime.errors import UserError

START = 180.0  # seconds in which a program answers after its start; MLflow sets up its tables meanwhile
END = 30.0  # seconds to write what it holds and end
LOOK = 0.2  # seconds between two looks
SHORT = 20.0  # seconds: a program that ends sooner would only end again
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass
class Program:
    """A program to run: what answers whether it is `ready`, which signal ends it, and as which user it runs."""

    name: str
    command: list[str]
    log: Path
    ready: Callable[[], bool]
    environment: dict[str, str] = field(default_factory=dict)
    end: signal.Signals = signal.SIGTERM
    user: str | None = None

    def start(self) -> None:
        """Start it in a session of its own, which Ctrl-C does not reach: programs end one after the other."""
        self.began = time.monotonic()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "TEAM_"))}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=inherited | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.log.parent,
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
                start_new_session=True,
                preexec_fn=self._end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # no threads
            )

    def _end_with_parent(self) -> None:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, self.end)

    def wait(self, stopped: threading.Event) -> None:
        """Wait until it is ready, or all are to stop.

        Raises:
            UserError: it has ended, or does not answer.
        """
        deadline = time.monotonic() + START
        while not stopped.is_set() and not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise UserError(f"{self.name} does not run: {self._last_words()}; all of it is in {self.log}")
            stopped.wait(LOOK)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"

    def stop(self) -> None:
        """End it and its children, at the latest by force."""
        self.process.send_signal(self.end)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def run(programs: list[Program], then: Callable[[], None], stopped: threading.Event) -> None:
    """Start the programs, each once the one before is ready, do `then`, and keep them running until `stopped`.

    Raises:
        UserError: one does not start, or ends again and again.
    """
    begun: list[Program] = []
    try:
        for program in programs:
            if not stopped.is_set():
                program.start()
                begun.append(program)
                program.wait(stopped)
        if not stopped.is_set():
            then()
        while not stopped.wait(LOOK):
            for program in begun:
                if program.process.poll() is not None:
                    _start_again(program, stopped)
    finally:
        for program in reversed(begun):
            program.stop()


def _start_again(program: Program, stopped: threading.Event) -> None:
    ended = f"{program.name} has ended with {program.process.returncode}"
    if time.monotonic() - program.began < SHORT:
        raise UserError(f"{ended}, soon after its start; see {program.log}")
    print(f"warning: {ended}; it is started again", file=sys.stderr, flush=True)
    program.stop()  # what it has left running
    program.start()
    program.wait(stopped)
