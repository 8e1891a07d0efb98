"""A zip on a host, read by byte range: its directory, and the members that lie side by side in one go."""

import io
import struct
import zipfile
from pathlib import PurePosixPath
from typing import IO, cast

from pipeline.runtime.errors import UserError, excerpt
from pipeline.sources.coco.cache import Cache, CorruptEntry
from pipeline.sources.coco.hosts import Damaged, File, Host, stream
from pipeline.sources.coco.member import LOCAL_HEADER, Member

BOMB = 200  # times; JSON of COCO shrinks to a fifth, what shrinks more than this is made to burst a disk
MOST_DIRECTORY = 2**28  # bytes; that of train2017.zip has 12 million
HARMLESS = 2**20  # bytes, however well they shrink


class Refused(UserError):
    """A zip that would do harm when it is unpacked."""


def read_directory(host: Host, file: File, cache: Cache) -> dict[str, Member]:
    """The directory of a zip, by name. What is read of it is kept in the cache.

    Raises:
        Refused: a member would leave the folder it is unpacked into, or is a zip bomb.
        Unavailable: the host fails.
        Changed: the zip is not, or no longer, the one that `file` names.
        Damaged: it does not read as a zip.
    """
    try:
        with zipfile.ZipFile(cast(IO[bytes], _Ranges(host, file, cache))) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
            ends = [*(info.header_offset for info in infos), archive.start_dir][1:]
        return {
            info.filename: _check_harmless(info, end, host.url(file.path))
            for info, end in zip(infos, ends, strict=True)
        }
    except (zipfile.BadZipFile, struct.error, UnicodeDecodeError, NotImplementedError) as error:
        cache.clear()
        raise Damaged(f"{host.url(file.path)}: not a readable zip ({error})") from None
    except CorruptEntry as error:
        cache.clear()
        raise Damaged(str(error)) from None
    except Refused:
        cache.clear()  # a directory has no checksum: a damaged one may look hostile
        raise


def _check_harmless(info: zipfile.ZipInfo, end: int, url: str) -> Member:
    path = PurePosixPath(info.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in info.filename:
        raise Refused(f"{url}: refused, its member {excerpt(info.filename)} does not stay inside its folder")
    if info.file_size > max(HARMLESS, BOMB * info.compress_size):
        raise Refused(f"{url}: refused, its member {excerpt(info.filename)} is a zip bomb ({info.file_size} bytes)")
    if info.header_offset + LOCAL_HEADER.size + info.compress_size > end:
        raise Refused(f"{url}: refused, its member {excerpt(info.filename)} overlaps the next")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise Refused(
            f"{url}: refused, its member {excerpt(info.filename)} is neither stored nor deflated, or encrypted"
        )
    return Member(path.name, info.header_offset, end, info.compress_type, info.compress_size, info.file_size, info.CRC)


class _Ranges:
    """A host's file for `zipfile`: each read is a request, unless the cache has these bytes."""

    def __init__(self, host: Host, file: File, cache: Cache) -> None:
        self.host, self.file, self.cache, self.position = host, file, cache, 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.file.size}[whence]
        if base + offset < 0:
            raise OSError("before the beginning")  # zipfile asks for a longer tail than a small zip has
        self.position = base + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, size: int = -1) -> bytes:
        start, end = self.position, self.file.size if size < 0 else min(self.position + size, self.file.size)
        if end - start > MOST_DIRECTORY:
            raise zipfile.BadZipFile(f"a directory of {end - start} bytes")
        self.position = max(start, end)
        name = f"{start}-{end} of {self.file.tag}"
        if start < end and name not in self.cache:
            _, partial = self.cache.partial(name)
            with self.cache.run(self.file, [Member(name, start, end)]) as write:
                for _, piece in stream(self.host, self.file.path, self.file, start + len(partial), end):
                    write(piece)
        return self.cache.read(name) if start < end else b""
