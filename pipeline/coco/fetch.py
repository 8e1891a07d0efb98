"""From a host into the pool: what is wanted of an archive, by byte range or file by file, whichever is cheaper."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePosixPath
from threading import Event, Lock

from pipeline import progress
from pipeline.coco import remote_zip
from pipeline.coco.pool import Pool
from pipeline.coco.remote_zip import Member
from pipeline.coco.transfer import CONNECTIONS, Changed, Damaged, File, Host, Share, Unavailable, stream

TRIES = 8  # of a piece that arrives damaged
RUN_BYTES = 8 * 2**20  # of an archive, in one request; small enough that all connections have work
DIRECTORY_ENTRY = 100  # bytes, about, of the archive's directory for each file in it
DIRECTORY_SHARE = 0.05  # of what is fetched: as much may the directory cost, for the checksums in it


@dataclass(frozen=True)
class Wanted:
    """Files of one archive, which the host may have as single files as well.

    Attributes:
        archive: path of the archive on the host.
        folder: the files' folder, in the archive and on the host.
        names: of the files.
        entries: files in the archive, about.
        fault: what is wrong with the content of the file of a name; nothing if it is good.
        pool: where the files go.
        directories: where what is read of the archive's directory goes.
    """

    archive: str
    folder: str
    names: list[str]
    entries: int
    fault: Callable[[str, bytes], str]
    pool: Pool
    directories: Pool

    def __str__(self) -> str:
        return self.folder if len(self.names) > 1 else f"{self.folder}/{self.names[0]}"

    def missing(self) -> list[str]:
        """Names of those that the pool does not have."""
        return [name for name in self.names if self.pool.crc(name) is None]


@dataclass(frozen=True)
class Run:
    """Members that lie side by side in an archive."""

    archive: File
    members: list[Member]


@dataclass(frozen=True)
class Single:
    """A file of its own on the host."""

    name: str


@dataclass(frozen=True)
class Plan:
    """What is going to be asked of a host: a request for each run, or each single file.

    Attributes:
        host: the host.
        wanted: what it is for.
        requests: in the order they are begun.
        files: how many they bring.
        size: bytes; None if it is not known beforehand.
        way: how and where from.
    """

    host: Host
    wanted: Wanted
    requests: list[Run] | list[Single]
    files: int
    size: int | None
    way: str

    def __str__(self) -> str:
        asked = f"{len(self.requests)} request{'s' if len(self.requests) > 1 else ''}"
        size = "" if self.size is None else f", {self.size / 1e6:.1f} MB"
        return f"{self.wanted}: {self.files} of {len(self.wanted.names)} to fetch{size} in {asked}, {self.way}"


def fetch(host: Host, wanted: list[Wanted]) -> None:
    """Bring all that is missing into the pools; the plan is printed first.

    Raises:
        UserError: an archive is hostile, or the disk is full.
        Unavailable: the host fails, lacks a file, or a file arrives damaged `TRIES` times.
    """
    problem, shown = "", False
    for files in wanted:
        if not files.missing():
            print(f"{files}: nothing to fetch, all is in {files.pool.folder}")
    for _ in range(TRIES):
        if not any(files.missing() for files in wanted):
            return
        try:
            plans = [_plan(host, files) for files in wanted if files.missing()]
            if not shown:
                print(*plans, sep="\n", flush=True)
            shown = True
            for plan in plans:
                problem = _carry_out(plan) or problem
                plan.wanted.directories.drop(_file_name(plan.wanted.archive))
        except Damaged as error:
            problem = str(error)
    if any(files.missing() for files in wanted):
        for files in wanted:
            files.directories.clear()  # they have no checksum: the damage may be there
        raise Unavailable(f"{problem}, {TRIES} times; check download.coco.base_url")


def _plan(host: Host, wanted: Wanted) -> Plan:
    """By range out of the archive if that is worth reading its directory; else file by file; else the whole archive."""
    archive, missing = host.about(wanted.archive), wanted.missing()
    size = round(archive.size / wanted.entries * len(missing)) if archive else None
    if archive and archive.ranges and DIRECTORY_ENTRY * wanted.entries <= DIRECTORY_SHARE * (size or 0):
        return _by_range(host, archive, wanted)
    if host.about(f"{wanted.folder}/{missing[0]}"):
        way = f"one by one from {host.url(wanted.folder)}"
        return Plan(host, wanted, [Single(name) for name in missing], len(missing), size, way)
    if archive is None:
        raise Unavailable(f"{host.url(wanted.archive)}: not there; check download.coco.base_url")
    if archive.ranges:
        return _by_range(host, archive, wanted)
    return _by_range(*_whole(host, archive, wanted.directories), wanted)


def _by_range(host: Host, archive: File, wanted: Wanted) -> Plan:
    members, url = remote_zip.members(host, archive, wanted.directories), host.url(archive.path)
    chosen = []
    for name in wanted.names:
        member = members.get(f"{wanted.folder}/{name}")
        if member is None:
            raise Unavailable(f"{url}: has no {wanted.folder}/{name}; check download.coco.base_url")
        if wanted.pool.crc(name) != member.crc:
            wanted.pool.drop(name)  # of an older version
            chosen.append(member)
    runs: list[Run] = []
    for member in sorted(chosen, key=lambda member: member.start):
        last = runs[-1].members if runs and not wanted.pool.begun(member.file_name) else []
        if last and last[-1].end == member.start and member.end - last[0].start <= RUN_BYTES:
            last.append(member)
        else:
            runs.append(Run(archive, [member]))
    size = sum(member.end - member.start - wanted.pool.begun(member.file_name) for member in chosen)
    return Plan(host, wanted, runs, len(chosen), size, f"by byte range out of {url}")


def _whole(host: Host, archive: File, pool: Pool) -> tuple[Share, File]:
    """The archive in a folder of our own, from a host that serves neither ranges nor single files."""
    name = _file_name(archive.path)
    if pool.crc(name) is None:
        content = bytearray()
        print(f"{host.url(archive.path)}: all {archive.size / 1e6:.1f} MB to fetch, the host serves no byte ranges")
        with progress.bar(None, name, archive.size, "B") as bar:
            for _, piece in stream(host, archive.path, archive):
                content += piece
                bar.update(len(piece))
        pool.put(name, bytes(content))
    share = Share(pool.folder.absolute().as_uri())
    file = share.about(pool.path(name).name)
    assert file
    return share, file


def _file_name(path: str) -> str:
    return PurePosixPath(path).name


def _carry_out(plan: Plan) -> str:
    """Fetch; return what is wrong with one of the files that arrived damaged, nothing if none did."""
    halt, lock = Event(), Lock()

    def arrived(count: int) -> None:
        if halt.is_set():
            raise CancelledError
        with lock:
            bar.update(count)

    def ask(request: Run | Single) -> str:
        match request:
            case Run():
                return _fetch_run(plan.host, request, plan.wanted, arrived)
            case Single():
                return _fetch_single(plan.host, request, plan.wanted, arrived)

    with (
        progress.bar(None, plan.wanted.folder, plan.size, "B") as bar,
        ThreadPoolExecutor(CONNECTIONS) as threads,
    ):
        jobs = [threads.submit(ask, request) for request in plan.requests]
        try:
            problems = [job.result() for job in as_completed(jobs)]
        except BaseException:
            halt.set()
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return next(filter(None, problems), "")


def _fetch_run(host: Host, run: Run, wanted: Wanted, arrived: Callable[[int], None]) -> str:
    """Fetch members that lie side by side; each is checked and kept as soon as it is whole."""
    problem, waiting = "", deque(run.members)
    version, held = wanted.pool.begin(waiting[0].file_name)
    if version != run.archive:
        held.clear()
    saved = len(held)
    rest = stream(host, run.archive.path, run.archive, waiting[0].start + saved, waiting[-1].end)
    for _, piece in chain([(run.archive, b"")], rest):
        arrived(len(piece))
        held += piece
        while waiting and len(held) >= waiting[0].length:
            member = waiting.popleft()
            where = f"{host.url(run.archive.path)}: {member.name}"
            problem = _keep(wanted, member.file_name, member.content(held), where) or problem
            del held[: member.length]
            saved = 0
        if waiting and len(held) > saved:
            wanted.pool.save(waiting[0].file_name, run.archive, held, saved)
            saved = len(held)
    return problem


def _fetch_single(host: Host, single: Single, wanted: Wanted, arrived: Callable[[int], None]) -> str:
    """Fetch a file of its own, check it and keep it."""
    path = f"{wanted.folder}/{single.name}"
    version, held = wanted.pool.begin(single.name)
    if version and version.path != path:
        version = None
        held.clear()
    saved = len(held)
    try:
        for now, piece in stream(host, path, version, saved, version.size if version else None):
            arrived(len(piece))
            held += piece
            if len(held) < now.size:
                wanted.pool.save(single.name, now, held, saved)
                saved = len(held)
    except Changed as error:
        wanted.pool.end(single.name)
        return str(error)
    return _keep(wanted, single.name, bytes(held), host.url(path))


def _keep(wanted: Wanted, name: str, content: bytes | None, where: str) -> str:
    """Put a whole file into its pool, or return what is wrong with it; its beginning is not needed any more."""
    fault = "damaged" if content is None else wanted.fault(name, content)
    if content is not None and not fault:
        wanted.pool.put(name, content)
    wanted.pool.end(name)
    return fault and f"{where}: {fault}"
