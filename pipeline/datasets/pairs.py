"""The pair store `data/pairs`: what corrupt writes, what train and evaluate read.

`<split>-NNNNN.feather` are uncompressed Arrow IPC files, one row a pair. The three pictures of a row are the bytes of
files: `target` and `corrupted` RGB, in BMP, which takes half as much space again as PNG and is read eight times as
fast; `mask` grey, in PNG, with 255 where the picture is to be restored and 0 where it is to be kept. Where the picture
was shrunk, `corrupted` is the small one. The metadata of a file hold its name, the CRC-32 of its columns, which takes a
third of the time that SHA-256 would, and whether it is the last.
"""

import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image
from pyarrow import feather

from pipeline.images.resize import resize, shrunk_size
from pipeline.runtime.errors import UserError, excerpt

SHARD_BYTES = 2**28
REMEDY = "run dvc repro --force --single-item corrupt"
SCHEMA = pa.schema(
    [
        ("image_id", pa.int64()),
        ("variant", pa.int32()),
        ("corruption", pa.string()),
        ("seed", pa.uint64()),
        ("hole_area", pa.float64()),
        ("margin", pa.float64()),
        ("target", pa.binary()),
        ("corrupted", pa.binary()),
        ("mask", pa.binary()),
    ]
)


@dataclass(frozen=True)
class Pair:
    """A row of the store, encoded.

    Attributes:
        hole_area: share of the picture to restore, 0 to 1.
        margin: how far the mask reaches beyond the damage, as a share of the side; NaN where none was drawn.
    """

    image_id: int
    variant: int
    corruption: str
    seed: int
    hole_area: float
    margin: float
    target: bytes
    corrupted: bytes
    mask: bytes


def encode(picture: np.ndarray) -> bytes:
    """A uint8 picture, HWC as BMP or HW as PNG."""
    buffer = io.BytesIO()
    if picture.ndim == 3:
        Image.fromarray(picture).save(buffer, "BMP")
    else:
        Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def decode(content: bytes) -> np.ndarray:
    """What `encode` was given.

    Raises:
        ValueError: it is not a picture of 8 bits a channel.
    """
    try:  # several times as fast as Pillow
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        picture = None
    if picture is None or picture.dtype != np.uint8:
        raise ValueError("not a picture of 8 bits a channel")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) if picture.ndim == 3 else picture


def write(folder: Path, split: str, pairs: Iterable[Pair]) -> None:
    """Write the pairs of one split, in the order given, in files of about 256 MiB."""
    folder.mkdir(parents=True, exist_ok=True)
    shard: list[Pair] = []
    filled, number = 0, 0
    for pair in pairs:
        if filled >= SHARD_BYTES:
            write_shard(folder / shard_name(split, number), shard_name(split, number), shard, last=False)
            shard, filled, number = [], 0, number + 1
        shard.append(pair)
        filled += len(pair.target) + len(pair.corrupted) + len(pair.mask)
    if shard:
        write_shard(folder / shard_name(split, number), shard_name(split, number), shard, last=True)


def shard_name(split: str, number: int) -> str:
    """The name of one of a split's files, counted from 0."""
    return f"{split}-{number:05}.feather"


def write_shard(path: Path, name: str, shard: list[Pair], last: bool) -> None:
    """Write the file that is to have this name; `last` where no other of its split follows."""
    table = pa.Table.from_pylist([vars(pair) for pair in shard], schema=SCHEMA)
    facts = {"name": name, "crc32": _checksum(table), "last": b"yes" if last else b"no"}
    feather.write_feather(table.replace_schema_metadata(facts), path, compression="uncompressed")


def _checksum(table: pa.Table) -> bytes:
    checksum = 0
    for column in table.columns:
        for piece in _pieces(column):
            checksum = zlib.crc32(piece, checksum)
    return b"%08x" % checksum


def _pieces(column: pa.ChunkedArray) -> Iterator[memoryview]:
    """Its numbers, or the lengths of its values and then the values; all together the same, whatever the chunks."""
    has_lengths = column.type in {pa.string(), pa.binary()}
    numbers = pc.binary_length(column) if has_lengths else column
    yield from (chunk.to_numpy().data for chunk in numbers.chunks)
    if has_lengths:
        yield from map(_values, column.chunks)


def _values(chunk: pa.Array) -> memoryview:
    _, offsets, values = chunk.buffers()
    bounds = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    return memoryview(values or b"")[bounds[0] : bounds[-1]]


def _read_shard(path: Path) -> pa.Table:
    try:
        table = feather.read_table(path, memory_map=True)
        table.validate(full=True)
    except (OSError, MemoryError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path}: not readable ({' '.join(str(error).split())}); {REMEDY}") from None
    facts = table.schema.metadata or {}
    as_written = table.schema.equals(SCHEMA) and table.num_rows and not any(column.null_count for column in table)
    if not as_written or facts.keys() != {b"name", b"crc32", b"last"} or facts[b"crc32"] != _checksum(table):
        raise UserError(f"{path}: not as this version of corrupt has written it; {REMEDY}")
    name = facts[b"name"].decode(errors="replace")
    if name != path.name:
        raise UserError(f"{path}: holds {excerpt(name)}; {REMEDY}")
    return table


class _Rows:
    """Some rows of the store, memory-mapped; `name` is said in errors."""

    def __init__(self, name: str, table: pa.Table) -> None:
        self.name, self.table = name, table
        self.size = self._picture(0, "target").shape[:2]

    def __len__(self) -> int:
        return self.table.num_rows

    def column(self, name: str) -> list:
        """One of the small columns, such as `corruption`, as a list."""
        return self.table[name].to_pylist()

    def label(self, index: int) -> str:
        """The `corruption` of one."""
        return self.table["corruption"][index].as_py()

    def pictures(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Target and corrupted (uint8 RGB HWC), and the mask (bool HW, true where to restore).

        What was shrunk is brought back to its size by the bicubic filter.

        Raises:
            UserError: one of them is no picture, of another size than the first target, or a mask without a hole.
        """
        target, corrupted = self.target(index), self.stored(index)
        holes = self._fitting(index, self._picture(index, "mask"), self.size) > 127
        if not holes.any():
            raise UserError(f"{self.name} pair {index}: a mask without a hole; {REMEDY}")
        if corrupted.shape != target.shape:
            corrupted = resize(corrupted, self.size, Image.Resampling.BICUBIC)
        return target, corrupted, holes

    def target(self, index: int) -> np.ndarray:
        """What `pictures` gives first."""
        return self._fitting(index, self._picture(index, "target"), (*self.size, 3))

    def stored(self, index: int) -> np.ndarray:
        """The corrupted picture as it is stored, uint8 RGB HWC: where it was shrunk, the small one.

        Raises:
            UserError: it is no picture, or not of the target's size divided by a whole number.
        """
        picture = self._picture(index, "corrupted")
        factor = round(self.size[0] / len(picture))
        return self._fitting(index, picture, (*shrunk_size(self.size, max(1, factor)), 3))

    def _fitting(self, index: int, picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        if picture.shape != shape:
            raise UserError(f"{self.name} pair {index}: pictures of different sizes or kinds; {REMEDY}")
        return picture

    def _picture(self, index: int, name: str) -> np.ndarray:
        try:
            return decode(self.table[name][index].as_py())
        except ValueError:
            raise UserError(f"{self.name} pair {index}: its {name} is not a picture; {REMEDY}") from None

    def batch(self, indices: Iterable[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`pictures` of some pairs, stacked to NHWC, NHWC and NHW."""
        targets, corrupted, masks = (np.stack(column) for column in zip(*map(self.pictures, indices), strict=True))
        return targets, corrupted, masks


class Shard(_Rows):
    """The pairs of one file alone.

    Raises:
        UserError: it is not there, or not as it was written.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _read_shard(path))


class Pairs(_Rows):
    """The pairs of one split (train, val or test), memory-mapped, in the order they were written.

    Raises:
        UserError: the folder holds no pairs of this split, or not those that `write` has written.
    """

    def __init__(self, folder: Path, split: str) -> None:
        name = f"{folder}: {split}"
        shards = sorted(folder.glob(f"{split}-*.feather"))
        if not shards:
            raise UserError(f"{folder}: no {split} pairs; run the corrupt stage first (dvc repro corrupt)")
        tables = [_read_shard(path) for path in shards]
        last = [table.schema.metadata[b"last"] == b"yes" for table in tables]
        if [path.name for path in shards] != [shard_name(split, number) for number in range(len(shards))]:
            raise UserError(f"{name} pairs: a file is missing, or one too many; {REMEDY}")
        if last != [path == shards[-1] for path in shards]:
            raise UserError(f"{name} pairs: the last file is missing, or one is of other pairs; {REMEDY}")
        super().__init__(name, pa.concat_tables(table.replace_schema_metadata() for table in tables))
