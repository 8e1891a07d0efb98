"""A stage ends within seconds, and not with 0, when it is told to or when the DVC that started it has died.

Ctrl-C reaches DVC and the stage alike. A signal to DVC alone does not reach the stage: DVC ignores SIGINT while a
stage runs, and dies of SIGTERM and SIGKILL without a word to it. Hence the thread that follows DVC.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = "stopped by SIGINT; run the same command again"
GRACE = 5.0  # seconds to clean up in; a thread that waits for a network may need longer, and is then cut off
LOOK = 0.5  # seconds between two looks at DVC


class _Request:
    """To stop this process: what made it, whether it must wait for a safe point, whether it is being followed."""

    cause = ""
    held = False
    followed = False


_request = _Request()


class Stopped(SystemExit):
    """The stage was told to stop. Uncaught it is one line on stderr and exit code 1, wherever it is raised."""

    def __init__(self) -> None:
        super().__init__(f"error: stopped by {_request.cause}; run the same command again to go on")


def listen() -> None:
    """From now on `Stopped` is raised on SIGINT, SIGTERM and SIGHUP, and when DVC or torchrun dies, if it runs us."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP, and so do we
            signal.signal(number, _on_signal)
    if "TORCHELASTIC_RUN_ID" in os.environ:
        threading.Thread(target=_follow_torchrun, args=(os.getppid(),), daemon=True).start()
    elif "DVC_STAGE" in os.environ:
        threading.Thread(target=_follow_dvc, args=(_line_to_dvc(),), daemon=True).start()


def leave_on_ctrl_c() -> None:
    """From now on Ctrl-C ends a command at once, imports included: it has nothing to clean up yet."""
    signal.signal(signal.SIGINT, _leave)


def _leave(*_: object) -> None:
    os.write(2, f"error: {INTERRUPTED}\n".encode())
    os._exit(128 + signal.SIGINT)


@contextmanager
def on_ctrl_c() -> Iterator[None]:
    """Inside, Ctrl-C raises `KeyboardInterrupt`, once: a second one must not interrupt the cleaning up."""

    def interrupt(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def at_safe_points() -> Iterator[None]:
    """Inside, `Stopped` is raised by `check` alone, and at the end."""
    _request.held = True
    try:
        yield
    finally:
        _request.held = False
    check()


def asked() -> bool:
    """Whether the stage was told to stop."""
    return bool(_request.cause)


def ask(cause: str) -> None:
    """Tell this process to stop, unless it was told already."""
    _request.cause = _request.cause or cause


def check() -> None:
    """Raise `Stopped` if the stage was told to stop."""
    if _request.cause and not _request.followed:
        _request.followed = True  # a second signal must not interrupt the cleaning up
        raise Stopped


def _on_signal(number: int, _: FrameType | None) -> None:
    ask(signal.Signals(number).name)
    if not _request.held:
        last_resort = threading.Timer(GRACE, _give_up)
        last_resort.daemon = True
        last_resort.start()
        check()


def _give_up() -> None:
    print(Stopped(), file=sys.stderr, flush=True)
    os._exit(1)


def _follow_dvc(line: list[int]) -> None:
    while line == _line_to_dvc() and _in_our_session(line[-1]):
        time.sleep(LOOK)
    _end_by("the end of dvc")


def _follow_torchrun(parent: int) -> None:
    """It starts each process in a session of its own, so that a signal to its group does not reach them."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    _end_by("the end of torchrun")


def _end_by(cause: str) -> None:
    ask(cause)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _in_our_session(process: int) -> bool:
    """DVC starts stages in its own; who adopted us because it died before we looked, such as init, has another."""
    try:
        return os.getsid(process) == os.getsid(0)
    except ProcessLookupError:
        return False


def _line_to_dvc() -> list[int]:
    """The parent; and where that is the shell DVC runs commands in, which outlives DVC, its parent too."""
    import psutil

    line = [os.getppid()]
    try:
        parent = psutil.Process(line[0])
        if "-c" in parent.cmdline()[1:4]:
            line.append(parent.ppid())
    except psutil.Error:  # the parent is gone, or another user's
        pass
    return line
