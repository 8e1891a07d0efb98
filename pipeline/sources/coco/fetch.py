"""From a host into the cache: what is wanted of an archive, by byte range or file by file, whichever is cheaper."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePosixPath
from threading import Lock

from pipeline.runtime import progress
from pipeline.runtime.errors import excerpt
from pipeline.sources.coco import remote_zip
from pipeline.sources.coco.cache import Cache, CorruptEntry
from pipeline.sources.coco.hosts import CONNECTIONS, Damaged, File, Host, LocalHost, stream
from pipeline.sources.coco.member import Member
from pipeline.sources.coco.remote_zip import Refused
from pipeline.sources.coco.retry import CANCEL, Unavailable

TRIES = 8  # of a piece that arrives damaged
RUN_BYTES = 2**20, 8 * 2**20  # of an archive in one request: least and most
TURNS = 4  # requests a connection, about, where there is enough to fetch: so that all end at the same time
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
        most: bytes of a file, at most.
        fault: what is wrong with the content of the file of a name, which a checksum of the host's may have checked;
            nothing if it is good.
        cache: where the files go.
        directory_cache: where what is read of the archive's directory goes.
    """

    archive: str
    folder: str
    names: list[str]
    entries: int
    most: int
    fault: Callable[[str, bytes, bool], str]
    cache: Cache
    directory_cache: Cache

    def __str__(self) -> str:
        return self.folder if len(self.names) > 1 else f"{self.folder}/{self.names[0]}"

    def missing(self) -> list[str]:
        """Names of those that the cache does not have."""
        return [name for name in self.names if name not in self.cache]

    def read(self, name: str) -> bytes:
        """The content of a file that is in the cache.

        Raises:
            CorruptEntry: it is damaged, or not what is wanted, from another host for instance.
        """
        content = self.cache.read(name)
        if fault := self.fault(name, content, self.cache.checked(name)):
            raise CorruptEntry(name, f"{self.cache.folder}: {name}: {fault}")
        return content


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
        requests: in the order they are sent.
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
    """Bring all that is missing into the caches; the plan is printed first.

    Raises:
        UserError: an archive is hostile, or the disk is full.
        Unavailable: the host fails, lacks a file, or a file arrives damaged `TRIES` times.
    """
    problem, shown = "", False
    host.patience.begin()
    for files in wanted:
        if not files.missing():
            print(f"{files}: nothing to fetch, all is in {files.cache.folder}")
    for _ in range(TRIES):
        if not any(files.missing() for files in wanted):
            return
        try:
            plans = [_plan(host, files) for files in wanted if files.missing()]
            if not shown:
                print(*plans, sep="\n", flush=True)
            shown = True
            for plan in plans:
                damage = _execute(plan)
                _copy_path(plan.wanted).unlink(missing_ok=True)
                if damage:
                    problem = damage
                    plan.wanted.directory_cache.clear()  # it has no checksum: the damage may be there
        except Damaged as error:
            problem = str(error)
    if any(files.missing() for files in wanted):
        raise Unavailable(f"{problem}, {TRIES} times; check download.coco.base_url")


def _plan(host: Host, wanted: Wanted) -> Plan:
    """By range out of the archive if that is worth reading its directory; else file by file; else the whole archive."""
    archive, missing = host.stat(wanted.archive), wanted.missing()
    size = round(archive.size / wanted.entries * len(missing)) if archive else None
    if archive and archive.ranges:
        directory = 0 if wanted.directory_cache.has(archive) else DIRECTORY_ENTRY * wanted.entries
        if directory <= DIRECTORY_SHARE * (size or 0):
            return _plan_by_range(host, archive, wanted)
    if host.stat(f"{wanted.folder}/{missing[0]}"):
        way = f"one by one from {host.url(wanted.folder)}"
        return Plan(host, wanted, [Single(name) for name in missing], len(missing), size, way)
    if archive is None:
        raise Unavailable(f"{host.url(wanted.archive)}: not there; check download.coco.base_url")
    if archive.ranges:
        return _plan_by_range(host, archive, wanted)
    plan = _plan_by_range(*_fetch_archive(host, archive, wanted), wanted)
    return replace(plan, way=f"by byte range out of {_copy_path(wanted)}")


def _plan_by_range(host: Host, archive: File, wanted: Wanted) -> Plan:
    members, url = remote_zip.read_directory(host, archive, wanted.directory_cache), host.url(archive.path)
    chosen = []
    for name in wanted.names:
        member = members.get(f"{wanted.folder}/{name}")
        if member is None:
            wanted.directory_cache.clear()
            raise Unavailable(f"{url}: has no {wanted.folder}/{name}; check download.coco.base_url")
        if max(member.size, member.packed) > wanted.most:
            raise Refused(f"{url}: refused, {wanted.folder}/{name} has {member.size} bytes, more than {wanted.most}")
        if name in wanted.cache and wanted.cache.crc(name) != member.crc:
            wanted.cache.remove(name)  # damaged, or of an older version
        if name not in wanted.cache:
            chosen.append(member)
    size = sum(member.length - wanted.cache.partial_size(member.name) for member in chosen)
    most = min(max(RUN_BYTES[0], size // (TURNS * CONNECTIONS)), RUN_BYTES[1])
    runs: list[Run] = []
    for member in sorted(chosen, key=lambda member: member.start):
        last = runs[-1].members if runs else []
        partial = any(wanted.cache.partial_size(each.name) for each in [*last[-1:], member])
        if last and not partial and last[-1].end == member.start and member.end - last[0].start <= most:
            last.append(member)
        else:
            runs.append(Run(archive, [member]))
    return Plan(host, wanted, runs, len(chosen), size, f"by byte range out of {url}")


def _copy_path(wanted: Wanted) -> Path:
    """Where the whole archive goes, if need be."""
    return wanted.directory_cache.folder / PurePosixPath(wanted.archive).name


def _fetch_archive(host: Host, archive: File, wanted: Wanted) -> tuple[LocalHost, File]:
    """Fetch all of an archive, from a host that serves neither byte ranges nor single files; return where it is now."""
    path, size = _copy_path(wanted), f"{archive.size / 1e6:.1f} MB"
    print(f"{host.url(archive.path)}: {size} to fetch in 1 request, the host serves no byte ranges", flush=True)
    with (
        wanted.directory_cache.disk_errors(),
        path.open("wb") as file,
        progress.bar(None, path.name, archive.size, "B") as bar,
    ):
        for _, piece in stream(host, archive.path, archive):
            file.write(piece)
            bar.update(len(piece))
    local = LocalHost(path.parent, copy_of=host.url(archive.path))
    copy = local.stat(path.name)
    assert copy
    return local, copy


def _execute(plan: Plan) -> str:
    """Send the requests; return what is wrong with one of the files that arrived damaged, nothing if none did."""
    lock = Lock()

    def arrived(count: int) -> None:
        if CANCEL.is_set():
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
            CANCEL.set()
            threads.shutdown(cancel_futures=True)
            CANCEL.clear()
            raise
    return next(filter(None, problems), "")


def _fetch_run(host: Host, run: Run, wanted: Wanted, arrived: Callable[[int], None]) -> str:
    """Fetch members that lie side by side; return what is wrong with one that is damaged."""
    first = run.members[0]
    version, partial = wanted.cache.partial(first.name)
    held = bytearray(partial if version == run.archive else b"")
    rest = stream(host, run.archive.path, run.archive, first.start + len(held), run.members[-1].end)
    problem = _store(wanted, run.archive, run.members, held, len(held), (piece for _, piece in rest), arrived)
    return problem and f"{host.url(run.archive.path)}: {problem}"


def _fetch_single(host: Host, single: Single, wanted: Wanted, arrived: Callable[[int], None]) -> str:
    """Fetch a file of its own; return what is wrong with it.

    Raises:
        Refused: it is too large.
        Unavailable: as `stream` does, or a page comes in its place, as of a network that wants a login.
    """
    path = f"{wanted.folder}/{single.name}"
    version, partial = wanted.cache.partial(single.name)
    if version and (version.path != path or not version.tag):
        version, partial = None, b""
    rest = stream(host, path, version, len(partial), version.size if version else None)
    try:
        version, piece = next(rest, (version, b""))
        if version is None:
            return f"{host.url(path)}: empty"
        if not partial and piece.lstrip().startswith(b"<"):  # as no JPEG and no JSON does
            what = f"sends {excerpt(piece[:60].strip())} in place of it"
            raise Unavailable(f"{host.url(path)}: {what}; check download.coco.base_url, and that no login is asked for")
        if version.size > wanted.most:
            raise Refused(f"{host.url(path)}: refused, it has {version.size} bytes, more than {wanted.most}")
        pieces = chain([piece], (piece for _, piece in rest))
        member = Member(single.name, 0, version.size)
        problem = _store(wanted, version, [member], bytearray(partial), len(partial), pieces, arrived)
        return problem and f"{host.url(path)}: {problem}"
    except Damaged as error:
        wanted.cache.forget(single.name)
        return str(error)


def _store(
    wanted: Wanted,
    version: File,
    members: list[Member],
    held: bytearray,
    saved: int,
    pieces: Iterator[bytes],
    arrived: Callable[[int], None],
) -> str:
    """Put members into the cache as they come, without those that are damaged; return what is wrong with one.

    `held` are the first bytes of them, of which the cache has `saved`.
    """
    waiting, problem = deque(members), ""
    with wanted.cache.run(version, members) as write:
        for piece in chain([b""], pieces):
            held += piece
            good = 0
            while waiting and not problem and len(held) >= good + waiting[0].length:
                problem = _find_fault(wanted, waiting[0], held[good : good + waiting[0].length])
                if not problem:
                    good += waiting.popleft().length
            write(held[saved : good if problem else None])
            del held[:good]
            saved = len(held)
            arrived(len(piece))
            if problem:
                break
    if problem:
        damaged = waiting.popleft()
        wanted.cache.forget(damaged.name)
        if waiting:
            _store(wanted, version, list(waiting), held[damaged.length :], 0, pieces, arrived)
    return problem


def _find_fault(wanted: Wanted, member: Member, extent: bytearray) -> str:
    content = member.content(extent)
    fault = "damaged" if content is None else wanted.fault(member.name, content, member.crc is not None)
    return fault and f"{member.name}: {fault}"
