"""A zip on a host, read by byte range: its directory, and the members that lie side by side in one go."""

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from pipeline.coco.pool import Pool
from pipeline.coco.transfer import Damaged, File, Host, stream
from pipeline.errors import UserError

LOCAL_HEADER = struct.Struct("<4s22xHH")  # PKWARE APPNOTE 6.3.10, section 4.3.7: signature, lengths of name and extra
BOMB = 200  # times; JSON of COCO shrinks to a fifth, what shrinks more than this is made to burst a disk
HARMLESS = 2**20  # bytes, however well they shrink


@dataclass(frozen=True)
class Member:
    """A file in a zip.

    Attributes:
        name: its path in the zip.
        start, end: where its local header begins in the zip, and where the next member or the directory does.
        size: bytes of its content.
        packed: bytes of its content in the zip.
        method: how it is packed, as in `zipfile`.
        crc: CRC-32 of its content.
    """

    name: str
    start: int
    end: int
    size: int
    packed: int
    method: int
    crc: int

    @property
    def file_name(self) -> str:
        """The name without the folder."""
        return PurePosixPath(self.name).name

    @property
    def length(self) -> int:
        """Bytes in the zip, with the local header."""
        return self.end - self.start

    def content(self, extent: bytearray) -> bytes | None:
        """The content, out of the zip's bytes from `start` on; None if they are damaged."""
        signature, name, extra = LOCAL_HEADER.unpack_from(extent)
        first = LOCAL_HEADER.size + name + extra
        content = bytes(extent[first : first + self.packed])
        if self.method == zipfile.ZIP_DEFLATED:
            try:
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, self.size + 1)
            except zlib.error:
                return None
        good = signature == b"PK\x03\x04" and len(content) == self.size and zlib.crc32(content) == self.crc
        return content if good else None


def members(host: Host, file: File, pool: Pool) -> dict[str, Member]:
    """The directory of a zip, by name. What is read of it is kept in the pool.

    Raises:
        UserError: a member would leave the folder it is unpacked into, or is a zip bomb.
        Unavailable: the host fails.
        Changed: the zip is not, or no longer, the one that `file` names.
        Damaged: it does not read as a zip.
    """
    try:
        with zipfile.ZipFile(_Ranges(host, file, pool)) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
            ends = [info.header_offset for info in infos[1:]] + [archive.start_dir]
    except (zipfile.BadZipFile, struct.error, UnicodeDecodeError) as error:
        pool.clear()
        raise Damaged(f"{host.url(file.path)}: not a readable zip ({error})") from None
    return {info.filename: _harmless(info, end, host.url(file.path)) for info, end in zip(infos, ends, strict=True)}


def _harmless(info: zipfile.ZipInfo, end: int, url: str) -> Member:
    path = PurePosixPath(info.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in info.filename:
        raise UserError(f"{url}: refused, its member {info.filename!r} does not stay inside its folder")
    if info.file_size > max(HARMLESS, BOMB * info.compress_size):
        raise UserError(f"{url}: refused, its member {info.filename!r} is a zip bomb ({info.file_size} bytes)")
    if info.header_offset + LOCAL_HEADER.size + info.compress_size > end:
        raise UserError(f"{url}: refused, its member {info.filename!r} overlaps the next")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise UserError(f"{url}: refused, its member {info.filename!r} is neither stored nor deflated, or encrypted")
    return Member(
        info.filename, info.header_offset, end, info.file_size, info.compress_size, info.compress_type, info.CRC
    )


class _Ranges(io.RawIOBase):
    """A host's file for `zipfile`: each read is a request, unless the pool has these bytes."""

    def __init__(self, host: Host, file: File, pool: Pool) -> None:
        self.host, self.file, self.pool, self.position = host, file, pool, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.file.size}[whence]
        if base + offset < 0:
            raise OSError("before the beginning")  # zipfile asks for a longer tail than a small zip has
        self.position = base + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def readinto(self, buffer: Any) -> int:
        end = min(self.position + len(buffer), self.file.size)
        content = self._range(self.position, end)
        buffer[: len(content)] = content
        self.position += len(content)
        return len(content)

    def _range(self, start: int, end: int) -> bytes:
        name = f"{_prefix(self.file)}{start}-{end}"
        if start < end and self.pool.crc(name) is None:
            _, held = self.pool.begin(name)
            for _, piece in stream(self.host, self.file.path, self.file, start + len(held), end):
                held += piece
                self.pool.save(name, self.file, held, len(held) - len(piece))
            self.pool.put(name, bytes(held))
            self.pool.end(name)
        return self.pool.read(name) if start < end else b""


def _prefix(file: File) -> str:
    version = sha256(f"{file.path} {file.size} {file.tag}".encode()).hexdigest()[:12]
    return f"{PurePosixPath(file.path).name}-{version}-"
