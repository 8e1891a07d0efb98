"""A file that lies in a file of the host: packed in a zip, or the whole of it as it is."""

import struct
import zipfile
import zlib
from dataclasses import dataclass

LOCAL_HEADER = struct.Struct("<4s22xHH")  # PKWARE APPNOTE 6.3.10, section 4.3.7: signature, lengths of name and extra


@dataclass(frozen=True)
class Member:
    """Where it lies, and what it must be.

    Attributes:
        name: its own name, without folders.
        start, end: its bytes in the host's file; in a zip they begin with the local header.
        method: how a zip packs it, as in `zipfile`; None if it lies there as it is.
        packed: bytes of its content in the zip.
        size: bytes of its content.
        crc: CRC-32 of its content; None if nobody knows.
    """

    name: str
    start: int
    end: int
    method: int | None = None
    packed: int = 0
    size: int = 0
    crc: int | None = None

    @property
    def length(self) -> int:
        """Bytes in the host's file."""
        return self.end - self.start

    def content(self, extent: bytes | bytearray) -> bytes | None:
        """The content, out of the bytes from `start` to `end`; None if they are damaged."""
        if self.method is None:
            return bytes(extent)
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
