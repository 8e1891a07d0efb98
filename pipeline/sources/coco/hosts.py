"""Files on a host, over HTTP or on a share: read by byte range, and taken up again where a connection broke off."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit
from urllib.request import url2pathname

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, MaxRetryError

from pipeline.runtime.errors import UserError, excerpt
from pipeline.sources.coco.retry import REPEATS, RETRY, Patience, Unavailable, reason

CONNECTIONS = 8
TIMEOUT = (10, 60)  # seconds, to connect and between two pieces of an answer
PIECE = 2**20  # bytes at most
Pieces = Iterator[bytes]
DIGITS = 18  # of a length in bytes, at most
ABSENT = (403, 404, 410)  # S3 says 403 where one may not list


class Damaged(Exception):
    """What arrived is not what was sent; it may be whole the next time."""


class Changed(Damaged):
    """The host has another version of the file than before."""


@dataclass(frozen=True)
class File:
    """A version of a file on a host.

    Attributes:
        path: below the host's base URL.
        size: bytes.
        tag: differs from version to version: the strong ETag, else the time of the last change; may be empty.
        ranges: whether url of it can be asked for, and a change be noticed.
    """

    path: str
    size: int
    tag: str
    ranges: bool


class Http:
    """A host that speaks HTTP. Threads may share it; proxies come from the environment."""

    def __init__(self, base: str, limit: float = math.inf) -> None:
        """At this URL; `limit` is that of its `Patience`."""
        self.base = base.rstrip("/")
        self.patience = Patience(self.base, limit)
        self.retry = RETRY.of(self.patience)
        self.ranges = True  # until an answer shows otherwise
        self.session = requests.Session()
        self.session.headers["Accept-Encoding"] = "identity"  # lengths and ranges count the file's own bytes
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=self.retry))

    def url(self, path: str) -> str:
        """Where a file is."""
        return f"{self.base}/{quote(path)}"

    def stat(self, path: str) -> File | None:
        """The file as it is now, None where there is none.

        Raises:
            Unavailable: no answer, or an error.
        """
        with self._ask("HEAD", path, {}) as answer:
            return None if answer.status_code in ABSENT else self._describe(path, self._check(answer))

    @contextmanager
    def get(self, path: str, version: File | None, start: int, end: int | None) -> Iterator[tuple[File, Pieces]]:
        """The file as it is now, and its bytes from `start` on, at least to `end` or to its own end.

        Raises:
            Unavailable: no answer, or an error.
            Changed: it is not the `version` asked for.
            Damaged: the host serves no byte ranges, though it said so.
            urllib3.exceptions.HTTPError: while iterating, where the connection breaks off.
        """
        headers = {}
        if version and version.ranges:
            headers = {"If-Range": version.tag, "Range": f"bytes={start}-{'' if end is None else end - 1}"}
        with self._ask("GET", path, headers) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                raise Changed(f"{self.url(path)}: changed on the host")
            now = self._describe(path, self._check(answer))
            if version and (now.size != version.size or now.tag not in ("", version.tag)):
                raise Changed(f"{self.url(path)}: changed on the host")
            partial = answer.status_code == requests.codes.partial_content
            if headers and not partial:
                self.ranges = False
                raise Damaged(f"{self.url(path)}: the host ignores byte ranges")
            if partial and not answer.headers["Content-Range"].startswith(f"bytes {start}-"):
                raise Unavailable(f"{self.url(path)}: answers with another range; check download.coco.base_url")
            yield version or now, _iter_pieces(answer, 0 if partial else start)

    @contextmanager
    def _ask(self, method: str, path: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        left = self.patience.left()
        timeout = min(TIMEOUT[0], left), min(TIMEOUT[1], left)
        try:
            answer = self.patience.wait(
                lambda: self.session.request(
                    method, self.url(path), headers=headers, stream=method == "GET", timeout=timeout
                )
            )
        except (requests.RequestException, HTTPError, ValueError) as error:  # ValueError: headers that make no sense
            raise Unavailable(f"{self.url(path)}: no answer ({reason(error)}); check download.coco.base_url") from None
        with answer:
            yield answer

    def _describe(self, path: str, answer: requests.Response) -> File:
        """What the headers of a good answer tell about the file."""
        etag = answer.headers.get("ETag", "")
        tag = answer.headers.get("Last-Modified", "") if etag.startswith("W/") or not etag else etag
        partial = answer.status_code == requests.codes.partial_content
        total = answer.headers.get("Content-Range" if partial else "Content-Length", "").rpartition("/")[2]
        if not total.isdecimal() or len(total) > DIGITS:
            raise Unavailable(f"{answer.url}: the host does not say how long it is; check download.coco.base_url")
        ranges = partial or answer.headers.get("Accept-Ranges") == "bytes"
        return File(path, int(total), tag, ranges and bool(tag) and self.ranges)

    def _check(self, answer: requests.Response) -> requests.Response:
        if not answer.ok:
            raise Unavailable(f"{answer.url}: HTTP {answer.status_code}; check download.coco.base_url")
        return answer


class LocalHost:
    """A folder that is laid out like the host: `file:///mnt/coco`."""

    def __init__(self, folder: Path, copy_of: str = "") -> None:
        """In this folder; messages name the URL that it has a copy of instead, where one is given."""
        self.folder, self.copy_of = folder, copy_of
        self.patience = Patience(str(folder), math.inf)
        self.retry = RETRY.of(self.patience)

    def url(self, path: str) -> str:
        """Where a file is, or is from."""
        return self.copy_of or str(self.folder / path)

    def stat(self, path: str) -> File | None:
        """The file as it is now, None where there is none.

        Raises:
            Unavailable: it cannot be looked at.
        """
        try:
            status = (self.folder / path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unavailable(f"{self.url(path)}: {error.strerror}; check download.coco.base_url") from None
        return File(path, status.st_size, str(status.st_mtime_ns), ranges=True)

    @contextmanager
    def get(self, path: str, version: File | None, start: int, end: int | None) -> Iterator[tuple[File, Pieces]]:
        """The file as it is now, and its bytes from `start` to its end.

        Raises:
            Unavailable: there is no such file, or it cannot be read.
            Changed: it is not the `version` asked for.
        """
        now = self.stat(path)
        if now is None:
            raise Unavailable(f"{self.url(path)}: no such file; check download.coco.base_url")
        if version and now != version:
            raise Changed(f"{self.url(path)}: changed")
        try:
            with (self.folder / path).open("rb") as content:
                content.seek(start)
                yield now, iter(lambda: content.read(PIECE), b"")
        except OSError as error:
            raise Unavailable(f"{self.url(path)}: {error.strerror}; check download.coco.base_url") from None


Host = Http | LocalHost


def open_host(base_url: str, limit: float = math.inf) -> Host:
    """The host at a URL; `limit` is that of its `Patience`.

    Raises:
        UserError: neither http, https nor file.
    """
    try:
        url = urlsplit(base_url)
    except ValueError:
        url = SplitResult("", "", "", "", "")
    match url.scheme, url.netloc:
        case "http" | "https", str(name) if name:
            return Http(base_url, limit)
        case "file", "" | "localhost":
            return LocalHost(Path(url2pathname(url.path)))
    raise UserError(
        f"download.coco.base_url: {excerpt(base_url)} is no URL; expected http://host, https://host or file:///path"
    )


def stream(
    host: Host, path: str, version: File | None, start: int = 0, end: int | None = None
) -> Iterator[tuple[File, bytes]]:
    """The bytes of a file from `start` to `end`, or to its own end, each once.

    Where a connection breaks off, the rest is asked for; after `REPEATS` more requests in a row that brought nothing
    the host is given up.

    Yields:
        The version of the file, and the next bytes.

    Raises:
        Unavailable: no answer, an error, or a connection that breaks off time and again.
        Changed: the file is not the `version` asked for, or became another one on the way.
    """
    retry = host.retry
    while end is None or start < end:
        try:
            with host.get(path, version, start, end) as (found, pieces):
                version, end = found, found.size if end is None else end
                for piece in pieces:
                    asked = piece[: end - start]
                    start += len(asked)
                    host.patience.arrived(len(piece), start == end)
                    yield found, asked
                    retry = host.retry
                    if start == end:
                        break
            if start < end:
                raise HTTPError("it ended early")
        except HTTPError as error:
            if version and not version.tag:
                raise Damaged(f"{host.url(path)}: cut short, and has no ETag or date to go on with") from None
            try:
                retry = retry.increment("GET", host.url(path), error=error)
            except MaxRetryError:
                raise Unavailable(
                    f"{host.url(path)}: cut short {REPEATS + 1} times at byte {start}; try again later"
                ) from None
            retry.sleep()


def _iter_pieces(answer: requests.Response, skipped: int) -> Pieces:
    """The body as it arrives, without its first `skipped` bytes."""
    while piece := answer.raw.read1(PIECE):
        if len(piece) > skipped:
            yield piece[skipped:]
        skipped = max(0, skipped - len(piece))
