"""What has been fetched, kept between runs.

Each request writes a file of its own, `000001.run` and so on: a line of JSON that says which members of which version
of the host's file follow, then their bytes as they came. It may end anywhere: the member that is cut off is gone on
with in the same file. A whole member has been checked before it was written to its end; one without a checksum of its
own is followed by the CRC-32 of what came. Of members of the same name the last counts.
"""

import json
import os
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from itertools import count
from pathlib import Path

from pipeline.runtime.errors import UserError, explain_os_error
from pipeline.sources.coco.hosts import File
from pipeline.sources.coco.member import Member

CRC_BYTES = 4


class CorruptEntry(UserError):
    """A member of the cache that is not what it must be; who meets it removes it, when nobody reads any more."""

    def __init__(self, name: str, fault: str) -> None:
        super().__init__(f"{fault}; it was removed, run again to fetch it anew")
        self.name = name


@dataclass(frozen=True)
class _Place:
    """A member in a run file: `there` of its bytes, and of its CRC where it has one, from `offset` on."""

    path: Path
    version: File
    member: Member
    offset: int
    there: int

    @property
    def whole(self) -> bool:
        return self.there == _stored(self.member)


def _stored(member: Member) -> int:
    return member.length + (CRC_BYTES if member.method is None else 0)


class Cache:
    """A folder of runs. Threads may share it as long as each works on members of its own."""

    def __init__(self, folder: Path) -> None:
        """Open the folder; it is made where there is none."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._places: dict[str, _Place] = {}
        self._names: defaultdict[Path, list[str]] = defaultdict(list)
        runs = sorted(path for path in folder.glob("*.run") if path.stem.isdecimal())
        for path in runs:
            self._list(path)
        self._numbers = count(int(runs[-1].stem) + 1 if runs else 1)

    def __contains__(self, name: str) -> bool:
        return name in self._places and self._places[name].whole

    def read(self, name: str) -> bytes:
        """The content of a whole member.

        Raises:
            CorruptEntry: it is not what was written.
        """
        place = self._places[name]
        extent = self._bytes(place)
        intact = place.member.method is not None or extent[-CRC_BYTES:] == _crc(zlib.crc32(extent[:-CRC_BYTES]))
        content = place.member.content(extent[: place.member.length]) if intact else None
        if content is None:
            raise CorruptEntry(name, f"{place.path}: {name} is damaged")
        return content

    def crc(self, name: str) -> int | None:
        """CRC-32 of the content of a whole member; None if it is damaged."""
        known = self._places[name].member.crc
        try:
            return zlib.crc32(self.read(name)) if known is None else known
        except CorruptEntry:
            return None

    def checked(self, name: str) -> bool:
        """Whether a member was held to a checksum of the host's when it came."""
        return self._places[name].member.crc is not None

    def has(self, version: File) -> bool:
        """Whether there is anything of this version of a file."""
        return any(place.version == version for place in self._places.values())

    def partial_size(self, name: str) -> int:
        """How many bytes of a member are there, when not all are."""
        return 0 if name not in self._places or name in self else self._places[name].there

    def partial(self, name: str) -> tuple[File | None, bytes]:
        """The bytes that are there of a member that is not whole, and the version they are from."""
        if not self.partial_size(name):
            return None, b""
        place = self._places[name]
        return place.version, self._bytes(place)[: place.member.length]

    def forget(self, name: str) -> None:
        """Remove what is there of a member that is not whole; it is the last in its run."""
        if self.partial_size(name):
            place = self._places.pop(name)
            os.truncate(place.path, place.offset)

    def remove(self, name: str) -> None:
        """Remove a whole member, and with it all others of its run."""
        path = self._places[name].path
        path.unlink(missing_ok=True)
        for other in self._names.pop(path):
            if other in self._places and self._places[other].path == path:
                del self._places[other]

    @contextmanager
    def run(self, version: File, members: list[Member]) -> Iterator[Callable[[bytes | bytearray], None]]:
        """Write members that lie side by side: yields what to call with their bytes, in order.

        One of which some bytes are there comes alone, and they do not come again.

        Raises:
            UserError: the disk is full, or cannot be written.
        """
        name, there = members[0].name, 0
        if self.partial_size(name) and self._places[name].version != version:
            self.forget(name)
        if self.partial_size(name):
            place = self._places[name]
            path, first, there = place.path, place.offset, min(place.there, members[0].length)
            with self.disk_errors():
                os.truncate(path, first + there)
        else:
            path = self.folder / f"{next(self._numbers):06}.run"
            line = json.dumps({"version": asdict(version), "members": [astuple(member) for member in members]}) + "\n"
            first = len(line)
            with self.disk_errors():
                path.write_text(line)
        crc = zlib.crc32(self.partial(name)[1])

        def write(content: bytes | bytearray) -> None:
            nonlocal there, crc
            rest = memoryview(content)
            while rest:
                with self.disk_errors():
                    written = file.write(rest)
                crc = zlib.crc32(rest[:written], crc) if members[0].method is None else 0
                rest, there = rest[written:], there + written

        with self.disk_errors():
            file = path.open("ab", buffering=0)
        try:
            yield write
            if members[0].method is None and there == members[0].length:
                write(_crc(crc))
        finally:
            file.close()
            self._place(path, version, members, first, there)
            if not there:
                path.unlink()

    def clear(self) -> None:
        """Forget everything."""
        for path in self.folder.glob("*.run"):
            path.unlink()
        self._places.clear()
        self._names.clear()

    @contextmanager
    def disk_errors(self) -> Iterator[None]:
        """Raise `UserError` where a write in this folder fails."""
        try:
            yield
        except OSError as error:
            raise UserError(f"{explain_os_error(error, self.folder)}, what is there stays") from None

    def _list(self, path: Path) -> None:
        with path.open("rb") as file:
            line = file.readline()
            there = file.seek(0, os.SEEK_END) - len(line)
        try:
            entry = json.loads(line)
            self._place(path, File(**entry["version"]), [Member(*m) for m in entry["members"]], len(line), there)
        except (ValueError, KeyError, TypeError):  # killed, or the disk was full, in its first line
            there = 0
        if not there:
            path.unlink()

    def _place(self, path: Path, version: File, members: list[Member], first: int, there: int) -> None:
        """Note where members are, of which `there` bytes follow byte `first` of a run file."""
        for member in members:
            offset = member.start - members[0].start
            if offset >= there:
                break
            here = min(_stored(member), there - offset)
            self._places[member.name] = _Place(path, version, member, first + offset, here)
            self._names[path].append(member.name)

    def _bytes(self, place: _Place) -> bytes:
        with place.path.open("rb") as file:
            file.seek(place.offset)
            return file.read(place.there)


def _crc(value: int) -> bytes:
    return value.to_bytes(CRC_BYTES)
