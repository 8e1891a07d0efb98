"""Files over HTTP."""

from collections.abc import Callable
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from pipeline.errors import UserError

CONNECTIONS = 8
TIMEOUT = (10, 60)  # seconds, to connect and between two pieces of an answer
PIECE = 2**20  # bytes
ATTEMPTS = 5  # for a file that arrives cut short or damaged
RETRY = Retry(
    total=8,
    connect=2,  # a host that is not there soon shows
    backoff_factor=0.5,  # seconds; doubled each time
    backoff_jitter=0.5,
    backoff_max=30,
    status_forcelist=(429, 500, 502, 503, 504),
)


def session() -> requests.Session:
    """A session that asks again, ever more slowly, where a server is busy or failing; threads may share it."""
    shared = requests.Session()
    for scheme in ("http://", "https://"):
        shared.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=RETRY))
    return shared


def fetch(session: requests.Session, url: str, target: Path, check: Callable[[Path, str], None]) -> None:
    """Write what `url` holds into `target`.

    Args:
        session: see `session`.
        url: where the file is.
        target: where it goes.
        check: raises `UserError` when the file at a path, from a URL, is damaged; then it is fetched anew.

    Raises:
        UserError: no answer, an answer that is an error, or a file that is cut short or damaged every time.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _write(session, url, target)
            check(target, url)
            return
        except requests.exceptions.ChunkedEncodingError:
            if attempt == ATTEMPTS:
                raise UserError(f"{url}: cut short {ATTEMPTS} times; try again later") from None
        except requests.HTTPError as error:
            raise UserError(f"{url}: HTTP {error.response.status_code}; check download.coco.base_url") from None
        except requests.RequestException as error:
            raise UserError(f"{url}: no answer ({_reason(error)}); check download.coco.base_url") from None
        except UserError:
            if attempt == ATTEMPTS:
                raise


def _write(session: requests.Session, url: str, target: Path) -> None:
    with session.get(url, stream=True, timeout=TIMEOUT) as answer:
        answer.raise_for_status()
        with target.open("wb") as file:
            for piece in answer.iter_content(PIECE):
                file.write(piece)


def _reason(error: requests.RequestException) -> str:
    """The cause at the bottom, without the pools and retries around it."""
    cause = error.args[0] if error.args else error
    return str(getattr(cause, "reason", None) or cause)
