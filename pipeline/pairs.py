"""The pair store `data/pairs`: what corrupt writes, what train and evaluate read.

`<split>-NNNNN.feather` are uncompressed Arrow IPC files, one row a pair. The three pictures of a row are the bytes of
files: `target` and `corrupted` RGB, in BMP, which takes half as much space again as PNG and is read eight times as
fast; `mask` grey, in PNG, with 255 where the picture is to be restored and 0 where it is to be kept.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import feather

from pipeline.errors import UserError

SHARD_BYTES = 2**28
SCHEMA = pa.schema(
    [
        ("image_id", pa.int64()),
        ("variant", pa.int32()),
        ("corruption", pa.string()),
        ("seed", pa.uint64()),
        ("hole_area", pa.float64()),
        ("target", pa.binary()),
        ("corrupted", pa.binary()),
        ("mask", pa.binary()),
    ]
)


@dataclass(frozen=True)
class Pair:
    """A row of the store, encoded. `hole_area` is the share of the picture to restore, 0 to 1."""

    image_id: int
    variant: int
    corruption: str
    seed: int
    hole_area: float
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
    """What `encode` was given."""
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)  # several times as fast as Pillow
    assert picture is not None
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) if picture.ndim == 3 else picture


def write(folder: Path, split: str, pairs: Iterable[Pair]) -> None:
    """Write the pairs of one split, in the order given, in files of about 256 MiB."""
    folder.mkdir(parents=True, exist_ok=True)
    shard: list[Pair] = []
    filled, number = 0, 0
    for pair in pairs:
        shard.append(pair)
        filled += len(pair.target) + len(pair.corrupted) + len(pair.mask)
        if filled >= SHARD_BYTES:
            _write_shard(folder / f"{split}-{number:05}.feather", shard)
            shard, filled, number = [], 0, number + 1
    if shard:
        _write_shard(folder / f"{split}-{number:05}.feather", shard)


def _write_shard(path: Path, shard: list[Pair]) -> None:
    table = pa.Table.from_pylist([vars(pair) for pair in shard], schema=SCHEMA)
    feather.write_feather(table, path, compression="uncompressed")


class Pairs:
    """The pairs of one split (train, val or test), memory-mapped, in the order they were written.

    Raises:
        UserError: the folder holds no pairs of this split.
    """

    def __init__(self, folder: Path, split: str) -> None:
        shards = sorted(folder.glob(f"{split}-*.feather"))
        if not shards:
            raise UserError(f"{folder}: no {split} pairs; run the corrupt stage first (dvc repro corrupt)")
        self.table = pa.concat_tables(feather.read_table(path, memory_map=True) for path in shards)

    def __len__(self) -> int:
        return self.table.num_rows

    def column(self, name: str) -> list:
        """One of the small columns, such as `corruption`, as a list."""
        return self.table[name].to_pylist()

    def pictures(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Target and corrupted (uint8 RGB HWC), and the mask (bool HW, true where to restore)."""
        target, corrupted, mask = (decode(self.table[name][row].as_py()) for name in ("target", "corrupted", "mask"))
        return target, corrupted, mask > 127

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """All pairs in order, `size` at once: `pictures` stacked to NHWC, NHWC and NHW. The last may be fewer."""
        for first in range(0, len(self), size):
            pictures = [self.pictures(row) for row in range(first, min(first + size, len(self)))]
            targets, corrupted, masks = (np.stack(column) for column in zip(*pictures, strict=True))
            yield targets, corrupted, masks
