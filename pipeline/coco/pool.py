"""What has been fetched, kept between runs: whole files, and the beginnings of those under way.

A whole file carries the CRC-32 of its content in its name. The beginning of one lies in `<name>.part`, after a line
that says which version of which file of the host its bytes are.
"""

import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from pipeline.coco.transfer import File
from pipeline.errors import UserError

KEPT = re.compile(r"(.+)\.([0-9a-f]{8})")


class Pool:
    """A folder of fetched files. Threads may share it as long as each works on names of its own."""

    def __init__(self, folder: Path) -> None:
        """Open the folder; it is made where there is none."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        matches = (KEPT.fullmatch(path.name) for path in folder.iterdir())
        self._crcs = {match[1]: int(match[2], 16) for match in matches if match}

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

    def part(self, name: str) -> "Part":
        """The beginning of a file, as far as it is there."""
        return Part(self.folder / f"{name}.part")

    def begun(self, name: str) -> int:
        """Bytes on disk of a file that is under way, 0 if it is not; a few more than are the file's."""
        path = self.folder / f"{name}.part"
        return path.stat().st_size if path.exists() else 0

    def path(self, name: str) -> Path:
        """Where a whole file is."""
        return self.folder / f"{name}.{self._crcs[name]:08x}"


class Part:
    """The beginning of a file.

    Attributes:
        file: the version of the host's file that the bytes are from; None where there are none.
        held: the bytes.
    """

    def __init__(self, path: Path) -> None:
        """Read what is on disk."""
        self.path, self.file, self.held, self._saved = path, None, bytearray(), 0
        if path.exists():
            line, _, rest = path.read_bytes().partition(b"\n")
            try:
                self.file = File(**json.loads(line))
            except (ValueError, TypeError):  # killed, or the disk was full, while it was begun
                return
            self.held, self._saved = bytearray(rest), len(rest)

    def save(self, file: File) -> None:
        """Put on disk what is held and not there yet; it is from this version of the host's file."""
        begun = self.file == file and self._saved
        line = b"" if begun else json.dumps(asdict(file)).encode() + b"\n"
        with _space(self.path.parent), self.path.open("ab" if begun else "wb") as content:
            content.write(line + self.held[self._saved if begun else 0 :])
        self.file, self._saved = file, len(self.held)

    def drop(self) -> None:
        """Forget the bytes, on disk too."""
        if self.file:
            self.path.unlink(missing_ok=True)
        self.file, self.held, self._saved = None, bytearray(), 0


@contextmanager
def _space(folder: Path) -> Iterator[None]:
    """A write that finds the disk full says where."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}; make room and run again, what is there is kept") from None
