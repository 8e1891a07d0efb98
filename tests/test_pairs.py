import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline import pairs
from pipeline.errors import UserError
from pipeline.pairs import Pair, Pairs

channels = st.sampled_from([(), (3,)])
shapes = st.builds(lambda height, width, rest: (height, width, *rest), st.integers(1, 20), st.integers(1, 20), channels)


def pair(number: int, side: int = 16) -> Pair:
    rng = np.random.default_rng(number)
    target, corrupted = rng.integers(256, size=(2, side, side, 3), dtype=np.uint8)
    mask = rng.random((side, side)) < 0.3
    encoded = map(pairs.encode, (target, corrupted, mask.astype(np.uint8) * 255))
    return Pair(2**53 - number, 0, "scratch", 2**64 - 1 - number, float(mask.mean()), *encoded)


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


def test_batches_cover_all_pairs_in_order(tmp_path):
    pairs.write(tmp_path, "train", [pair(number) for number in range(5)])
    store = Pairs(tmp_path, "train")
    batches = list(store.batches(2))
    assert [len(targets) for targets, _, _ in batches] == [2, 2, 1]
    targets = np.concatenate([targets for targets, _, _ in batches])
    assert np.array_equal(targets, np.stack([store.pictures(row)[0] for row in range(5)]))


def test_same_pairs_same_bytes(tmp_path):
    for name in ("once", "again"):
        pairs.write(tmp_path / name, "val", [pair(number) for number in range(3)])
    once, again = (next((tmp_path / name).iterdir()).read_bytes() for name in ("once", "again"))
    assert once == again


def test_no_pairs_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no test pairs; run the corrupt stage first"):
        Pairs(tmp_path, "test")
