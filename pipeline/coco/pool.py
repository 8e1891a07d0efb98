"""What has been fetched, kept between runs.

Each request writes a file of its own, `000001.run` and so on: a line of JSON that says which members of which version
of the host's file follow, then their bytes as they came. It may end anywhere: the member that is cut off is gone on
with. A whole member has been checked before it was written to its end. Of members of the same name the last counts.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from itertools import count
from pathlib import Path

from pipeline.coco.member import Member
from pipeline.coco.transfer import File
from pipeline.errors import UserError


@dataclass(frozen=True)
class _Place:
    """A member in a run file: its bytes begin at `offset`, and `there` of them are there."""

    path: Path
    version: File
    member: Member
    offset: int
    there: int


class Pool:
    """A folder of runs. Threads may share it as long as each works on members of its own."""

    def __init__(self, folder: Path) -> None:
        """Open the folder; it is made where there is none."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._places: dict[str, _Place] = {}
        runs = sorted(folder.glob("*.run"))
        for path in runs:
            self._list(path)
        self._numbers = count(int(runs[-1].stem) + 1 if runs else 1)

    def __contains__(self, name: str) -> bool:
        place = self._places.get(name)
        return place is not None and place.there == place.member.length

    def read(self, name: str) -> bytes:
        """The content of a whole member.

        Raises:
            UserError: it is not what was written.
        """
        place = self._places[name]
        content = place.member.content(self._bytes(place))
        if content is None:
            self.remove(name)
            raise UserError(f"{place.path}: {name} is damaged, the file was removed; run again to fetch it anew")
        return content

    def crc(self, name: str) -> int:
        """CRC-32 of the content of a whole member."""
        known = self._places[name].member.crc
        return zlib.crc32(self.read(name)) if known is None else known

    def begun(self, name: str) -> int:
        """How many bytes of a member are there, when not all are."""
        return self._places[name].there if name in self._places and name not in self else 0

    def beginning(self, name: str) -> tuple[File | None, bytes]:
        """The bytes that are there of a member that is not whole, and the version they are from."""
        if not self.begun(name):
            return None, b""
        place = self._places[name]
        return place.version, self._bytes(place)

    def forget(self, name: str) -> None:
        """Remove what is there of a member that is not whole; it is the last in its run."""
        if self.begun(name):
            place = self._places.pop(name)
            os.truncate(place.path, place.offset)

    def remove(self, name: str) -> None:
        """Remove a whole member, and with it all others of its run."""
        path = self._places[name].path
        path.unlink(missing_ok=True)
        self._places = {name: place for name, place in self._places.items() if place.path != path}

    @contextmanager
    def run(self, version: File, members: list[Member]) -> Iterator[Callable[[bytes | bytearray], None]]:
        """A new run of members that lie side by side: what to call with their bytes, in order.

        Raises:
            UserError: the disk is full, or cannot be written.
        """
        path, there = self.folder / f"{next(self._numbers):06}.run", 0
        line = json.dumps({"version": asdict(version), "members": [astuple(member) for member in members]}) + "\n"

        def write(content: bytes | bytearray) -> None:
            nonlocal there
            rest = memoryview(content)
            while rest:
                with self._room():
                    written = file.write(rest)
                rest, there = rest[written:], there + written

        with self._room():
            file = path.open("wb", buffering=0)
        try:
            write(line.encode())
            there = 0
            yield write
        finally:
            file.close()
            self._place(path, version, members, len(line), there)
            if not there:
                path.unlink()

    def clear(self) -> None:
        """Forget everything."""
        for path in self.folder.glob("*.run"):
            path.unlink()
        self._places.clear()

    def _list(self, path: Path) -> None:
        with path.open("rb") as file:
            line = file.readline()
            there = file.seek(0, 2) - len(line)
        try:
            entry = json.loads(line)
            version, members = File(**entry["version"]), [Member(*fields) for fields in entry["members"]]
        except (ValueError, KeyError, TypeError):  # killed, or the disk was full, when it was begun
            path.unlink()
            return
        self._place(path, version, members, len(line), there)

    def _place(self, path: Path, version: File, members: list[Member], first: int, there: int) -> None:
        """Note where members are, of which `there` bytes follow byte `first` of a run file."""
        for member in members:
            offset = member.start - members[0].start
            if offset >= there:
                break
            self.forget(member.name)  # an earlier run has the beginning of it, and this one has that too
            self._places[member.name] = _Place(
                path, version, member, first + offset, min(member.length, there - offset)
            )

    def _bytes(self, place: _Place) -> bytes:
        with place.path.open("rb") as file:
            file.seek(place.offset)
            return file.read(place.there)

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(f"{self.folder}: {error.strerror}; make room and run again, what is there stays") from None
