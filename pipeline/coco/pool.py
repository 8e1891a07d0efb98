"""What has been fetched, kept between runs: whole files, and the beginnings of those under way.

A whole file carries the CRC-32 of its content in its name. The beginning of one lies in `<name>.part`, after a line
that says which version of which file of the host its bytes are.
"""

import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from pipeline.coco.transfer import File
from pipeline.errors import UserError

KEPT = re.compile(r"(.+)\.([0-9a-f]{8})")
BEGUN = ".part"


class Pool:
    """A folder of fetched files. Threads may share it as long as each works on names of its own."""

    def __init__(self, folder: Path) -> None:
        """Open the folder; it is made where there is none."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        names = [path.name for path in folder.iterdir()]
        self._crcs = {match[1]: int(match[2], 16) for match in map(KEPT.fullmatch, names) if match}
        self._parts = {name.removesuffix(BEGUN) for name in names if name.endswith(BEGUN)}

    def clear(self) -> None:
        """Forget all whole files."""
        for name in list(self._crcs):
            self.drop(name)

    def crc(self, name: str) -> int | None:
        """CRC-32 of a whole file, None where there is none."""
        return self._crcs.get(name)

    def read(self, name: str) -> bytes:
        """A whole file.

        Raises:
            UserError: its content is not what was written.
        """
        path = self.path(name)
        content = path.read_bytes()
        if zlib.crc32(content) != self._crcs[name]:
            self.drop(name)
            raise UserError(f"{path}: damaged, and removed; run again to fetch it anew")
        return content

    def put(self, name: str, content: bytes) -> None:
        """Keep a whole file, in place of an older one."""
        new = self.folder / f"{name}.new"
        with _space(self.folder):
            new.write_bytes(content)
        self.drop(name)
        self._crcs[name] = zlib.crc32(content)
        new.replace(self.path(name))

    def drop(self, name: str) -> None:
        """Forget a whole file, where there is one."""
        if name in self._crcs:
            self.path(name).unlink(missing_ok=True)
            del self._crcs[name]

    def path(self, name: str) -> Path:
        """Where a whole file is."""
        return self.folder / f"{name}.{self._crcs[name]:08x}"

    def begin(self, name: str) -> tuple[File | None, bytearray]:
        """The beginning of a file, and the version of the host's file that it is from; None where there is none."""
        if name in self._parts:
            line, _, content = self._part(name).read_bytes().partition(b"\n")
            with suppress(ValueError, TypeError):  # killed, or the disk was full, when it was begun
                return File(**json.loads(line)), bytearray(content)
            self.end(name)
        return None, bytearray()

    def save(self, name: str, version: File, held: bytearray, saved: int) -> None:
        """Put on disk what is held of the beginning of a file, but for the first `saved` bytes, which are there."""
        line = b"" if saved else json.dumps(asdict(version)).encode() + b"\n"
        with _space(self.folder), self._part(name).open("ab" if saved else "wb") as file:
            file.write(line + held[saved:])
        self._parts.add(name)

    def end(self, name: str) -> None:
        """Forget the beginning of a file, where there is one."""
        if name in self._parts:
            self._part(name).unlink(missing_ok=True)
            self._parts.discard(name)

    def begun(self, name: str) -> int:
        """Bytes on disk of the beginning of a file, with the line before it; 0 where there is none."""
        return self._part(name).stat().st_size if name in self._parts else 0

    def _part(self, name: str) -> Path:
        return self.folder / f"{name}{BEGUN}"


@contextmanager
def _space(folder: Path) -> Iterator[None]:
    """A write that finds the disk full says where."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}; make room and run again, what is there is kept") from None
