import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pyarrow import feather

from pipeline.datasets import pairs
from pipeline.datasets.pairs import Pair, Pairs
from pipeline.runtime.errors import UserError

channels = st.sampled_from([(), (3,)])
shapes = st.builds(lambda height, width, rest: (height, width, *rest), st.integers(1, 20), st.integers(1, 20), channels)


def pair(number: int, side: int = 16) -> Pair:
    rng = np.random.default_rng(number)
    target, corrupted = rng.integers(256, size=(2, side, side, 3), dtype=np.uint8)
    mask = rng.random((side, side)) < 0.3
    encoded = map(pairs.encode, (target, corrupted, mask.astype(np.uint8) * 255))
    return Pair(2**53 - number, 0, "scratch", 2**64 - 1 - number, float(mask.mean()), 0.0, *encoded)


@settings(deadline=None)
@given(hnp.arrays(np.uint8, shapes))
def test_pictures_survive_encoding(picture):
    assert np.array_equal(pairs.decode(pairs.encode(picture)), picture)


def test_what_is_written_is_read(tmp_path):
    written = [pair(number) for number in range(5)]
    pairs.write(tmp_path, "val", written)
    store = Pairs(tmp_path, "val")
    assert len(store) == 5
    assert store.column("image_id") == [each.image_id for each in written]
    assert store.column("seed") == [each.seed for each in written]
    target, corrupted, mask = store.pictures(3)
    assert np.array_equal(target, pairs.decode(written[3].target))
    assert np.array_equal(corrupted, pairs.decode(written[3].corrupted))
    assert mask.dtype == bool and mask.mean() == written[3].hole_area


def test_pandas_reads_a_shard(tmp_path):
    pairs.write(tmp_path, "test", [pair(0)])
    (shard,) = tmp_path.iterdir()
    table = pd.read_feather(shard)
    assert shard.name == "test-00000.feather"
    assert table.columns.tolist() == pairs.SCHEMA.names
    assert table.target[0].startswith(b"BM")


def test_many_pairs_fill_several_shards_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "SHARD_BYTES", 4000)
    written = [pair(number) for number in range(7)]
    pairs.write(tmp_path, "train", written)
    assert len(list(tmp_path.iterdir())) > 2
    assert Pairs(tmp_path, "train").column("image_id") == [each.image_id for each in written]


def test_a_batch_is_of_the_pairs_that_are_asked_for(tmp_path):
    pairs.write(tmp_path, "train", [pair(number) for number in range(5)])
    store = Pairs(tmp_path, "train")
    for stacked, *single in zip(store.batch([3, 1]), store.pictures(3), store.pictures(1), strict=True):
        assert np.array_equal(stacked, np.stack(single))


@pytest.mark.parametrize("factor", [2, 3])
def test_what_was_shrunk_is_kept_small_and_shown_at_its_size(factor, tmp_path):
    side, small_side = 16, round(16 / factor)
    small = np.random.default_rng(0).integers(256, size=(small_side, small_side, 3), dtype=np.uint8)
    shrunk = replace(pair(0), corrupted=pairs.encode(small), mask=pairs.encode(np.full((side, side), 255, np.uint8)))
    pairs.write(tmp_path, "val", [shrunk])
    store = Pairs(tmp_path, "val")
    assert np.array_equal(store.stored(0), small)
    _, shown, mask = store.pictures(0)
    assert np.array_equal(shown, np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)))
    assert mask.all()


def test_same_pairs_same_bytes(tmp_path):
    for name in ("once", "again"):
        pairs.write(tmp_path / name, "val", [pair(number) for number in range(3)])
    once, again = (next((tmp_path / name).iterdir()).read_bytes() for name in ("once", "again"))
    assert once == again


def test_no_pairs_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no test pairs; run the corrupt stage first"):
        Pairs(tmp_path, "test")


def stored(folder, count=3):
    """Pairs in three files of one each."""
    pairs.write(folder, "train", [pair(number) for number in range(count)])
    return sorted(folder.iterdir())


def edited(change):
    """Write a file anew, its metadata as they were."""

    def edit(shard):
        table = change(feather.read_table(shard, memory_map=False))
        feather.write_feather(table, shard, compression="uncompressed")

    return edit


def replaced(name, values, kind):
    return lambda table: table.set_column(table.schema.get_field_index(name), name, pa.array(values, kind))


def flipped(shard):
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


def as_folder(shard):
    shard.unlink()
    shard.mkdir()


def emptied(table):
    facts = {"name": "train-00001.feather", "crc32": "00000000", "last": "yes"}
    return table.slice(0, 0).replace_schema_metadata(facts)


DAMAGE = {
    "cut": lambda shard: shard.write_bytes(shard.read_bytes()[:-100]),
    "a flipped bit": flipped,
    "empty": lambda shard: shard.write_bytes(b""),
    "garbage": lambda shard: shard.write_bytes(b"ARROW1" * 100),
    "a folder": as_folder,
    "no column": edited(lambda table: table.drop_columns(["mask"])),
    "one more column": edited(lambda table: table.append_column("more", pa.array([1]))),
    "another order": edited(lambda table: table.select(table.schema.names[::-1])),
    "another type": edited(replaced("image_id", [1.0], pa.float64())),
    "a null": edited(replaced("target", [None], pa.binary())),
    "other bytes": edited(replaced("target", [b"BM"], pa.binary())),
    "another number": edited(replaced("image_id", [7], pa.int64())),
    "no metadata": edited(lambda table: table.replace_schema_metadata()),
    "no rows": edited(emptied),
    "a row twice": edited(lambda table: pa.concat_tables([table, table])),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_file_that_was_damaged_is_refused_in_one_line(how, tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "SHARD_BYTES", 1)
    shard = stored(tmp_path)[1]
    DAMAGE[how](shard)
    with pytest.raises(
        UserError, match="train-00001.feather: not .*; run dvc repro --force --single-item corrupt"
    ) as error:
        Pairs(tmp_path, "train")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("how", ["the first", "one between", "the last", "one too many", "one twice"])
def test_files_that_are_missing_or_too_many_are_noticed(how, tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "SHARD_BYTES", 1)
    shards = stored(tmp_path)
    match how:
        case "the first":
            shards[0].unlink()
        case "one between":
            shards[1].unlink()
        case "the last":
            shards[2].unlink()
        case "one too many":
            shutil.copy(shards[2], tmp_path / "train-00003.feather")
        case "one twice":
            shutil.copy(shards[1], tmp_path / "train-00001 (1).feather")
    with pytest.raises(UserError, match=f"{tmp_path}.*train.*: .*; run dvc repro --force --single-item corrupt"):
        Pairs(tmp_path, "train")


@pytest.mark.parametrize(("name", "over"), [("train-00000", "test-00000"), ("train-00001", "train-00000")])
def test_a_file_copied_over_another_is_refused_in_one_line(name, over, tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "SHARD_BYTES", 1)
    stored(tmp_path)
    pairs.write(tmp_path, "test", [pair(7)])
    shutil.copy(tmp_path / f"{name}.feather", tmp_path / f"{over}.feather")
    with pytest.raises(
        UserError, match=f"{over}.feather: holds '{name}.feather'; run dvc repro --force --single-item corrupt"
    ):
        Pairs(tmp_path, over.split("-")[0])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("target", b""),
        ("target", b"BM"),
        ("corrupted", pairs.encode(np.zeros((16, 17, 3), np.uint8))),
        ("target", pairs.encode(np.zeros((8, 8, 3), np.uint8))),
        ("target", pairs.encode(np.zeros((16, 16), np.uint8))),
        ("mask", pairs.encode(np.full((8, 8), 255, np.uint8))),
        ("mask", pairs.encode(np.zeros((16, 16), np.uint8))),
    ],
)
def test_pictures_that_do_not_fit_are_refused_with_their_row(name, content, tmp_path):
    pairs.write(tmp_path, "val", [pair(0), replace(pair(1), **{name: content})])
    store = Pairs(tmp_path, "val")
    store.pictures(0)
    with pytest.raises(UserError, match=f"{tmp_path}: val pair 1: .*; run dvc repro --force --single-item corrupt"):
        store.pictures(1)
    with pytest.raises(UserError, match="val pair 1"):
        store.batch(range(len(store)))


def test_more_rows_than_arrow_writes_at_once_are_read(tmp_path):
    tiny = replace(pair(0, side=2), corrupted=b"")
    pairs.write(tmp_path, "val", [replace(tiny, variant=number) for number in range(2**16 + 5)])
    assert Pairs(tmp_path, "val").column("variant") == list(range(2**16 + 5))
