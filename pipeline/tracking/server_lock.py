"""A lock that the clients of one MLflow server hold one at a time, on whatever machines they are.

MLflow offers none. But of several clients that make a registered model of one name it refuses all but one, and so too
of several that rename to one name. The lock is such a model, without versions, while it is held. A holder shows that it
lives; one that has died is set aside under a name with its token, so that only one of those who wait does that.
"""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from pipeline.runtime.errors import UserError
from pipeline.tracking import place
from pipeline.tracking.client import is_missing

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX = "mendline-lock"
HOLDER = "holder"  # the tag with the token of who holds it
SIGN = 10.0  # seconds between two signs of life
DEAD = 60.0  # seconds without one
PAUSE = 0.4  # seconds between two tries, at random up to twice as many
WHAT = "A lock, held for a moment while a client completes a row. It may be deleted if nobody works."


@contextmanager
def exclusive(client: "MlflowClient", name: str) -> Iterator[None]:
    """Hold the lock of this name; of an embedded store, which one machine uses, `place` has the locks.

    Raises:
        UserError: others go on holding it.
    """
    if place.database():
        yield
        return
    lock, token, ended = f"{PREFIX}-{name}", uuid4().hex, threading.Event()
    _acquire(client, lock, token)
    living = threading.Thread(target=_show_life, args=(client, lock, ended), daemon=True)
    living.start()
    try:
        yield
    finally:
        ended.set()
        living.join()
        if _holder(client, lock)[0] == token:
            client.delete_registered_model(lock)


def _acquire(client: "MlflowClient", lock: str, token: str) -> None:
    deadline = time.monotonic() + place.WAIT_FOR_ROWS
    seen, since = ("", 0), time.monotonic()
    while not _take(client, lock, token):
        found = _holder(client, lock)
        if found[0] == token:  # the answer to an earlier try was lost
            return
        if found != seen:
            seen, since = found, time.monotonic()
        elif found[0] and time.monotonic() - since > DEAD:
            _set_aside(client, lock, found[0])
        if time.monotonic() > deadline:
            raise UserError(f"MLflow at {place.shown()}: another client goes on holding {lock}; end that, or delete it")
        time.sleep(random.uniform(0, 2 * PAUSE))


def _take(client: "MlflowClient", lock: str, token: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(lock, {HOLDER: token}, WHAT)
    except MlflowException as error:
        if error.error_code == "RESOURCE_ALREADY_EXISTS" or is_missing(error):  # it was given up before MLflow looked
            return False
        raise
    return True


def _holder(client: "MlflowClient", lock: str) -> tuple[str, int]:
    """The token of who holds it and the time of their last sign of life; nothing where nobody does."""
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(lock)
    except MlflowException as error:
        if is_missing(error):
            return "", 0
        raise
    return model.tags.get(HOLDER, ""), model.last_updated_timestamp


def _set_aside(client: "MlflowClient", lock: str, dead: str) -> None:
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):  # another has done it
        client.rename_registered_model(lock, f"{lock}-{dead}")


def _show_life(client: "MlflowClient", lock: str, ended: threading.Event) -> None:
    while not ended.wait(SIGN):
        with suppress(Exception):  # the next sign may arrive
            client.update_registered_model(lock, WHAT)
