import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import feather

from pipeline.datasets import pairs
from pipeline.datasets.pairs import Pairs
from pipeline.runtime.errors import UserError
from tests.datasets.test_pairs import pair
from tests.fuzz import COUNTS, inputs
from tests.fuzz.damage import damaged, little_memory

ROWS = 4
SMALL = [name for name in pairs.SCHEMA.names if name not in {"target", "corrupted", "mask"}]


@pytest.fixture
def shard(tmp_path):
    pairs.write(tmp_path, "train", [pair(number, side=8) for number in range(ROWS)])
    return tmp_path / "train-00000.feather"


def content(folder):
    """All that is read of the pairs; None where they are refused."""
    try:
        store = Pairs(folder, "train")
        return [store.column(name) for name in SMALL], [column.tolist() for column in store.batch(range(len(store)))]
    except UserError as error:
        assert "\n" not in str(error)
        assert str(error).startswith(str(folder))
        return None


@pytest.mark.parametrize("count", COUNTS)
def test_damaged_files_are_read_as_written_or_refused_in_one_line(count, shard):
    whole, expected = shard.read_bytes(), content(shard.parent)

    @inputs(count)
    @given(damaged(whole))
    def check(spoilt):
        shard.write_bytes(spoilt)
        assert content(shard.parent) in (None, expected)

    with little_memory():
        check()


kinds = st.sampled_from([pa.int64(), pa.int32(), pa.uint64(), pa.float64(), pa.string(), pa.binary(), pa.bool_()])
numbers = st.integers(0, 99)


@st.composite
def edits(draw, table):
    """The table with a column left out, added, renamed, retyped or changed, or its rows shuffled, repeated or cut."""
    name = draw(st.sampled_from(table.schema.names))
    at = table.schema.get_field_index(name)
    field, word, row = table.schema.field(name), draw(st.text(max_size=5)), draw(st.integers(0, ROWS - 1))
    values = table[name].to_pylist()
    kind = draw(kinds)
    ones = [{pa.binary(): b"1", pa.string(): "1"}.get(kind, 1)] * len(table)
    blanked = [None if number == row else value for number, value in enumerate(values)]
    edited = {
        "drop": lambda: table.drop_columns([name]),
        "add": lambda: table.append_column(word, table[name]),
        "rename": lambda: table.rename_columns({name: word}),
        "retype": lambda: table.set_column(at, name, pa.array(ones).cast(kind)),
        "blank": lambda: table.set_column(at, field, pa.array(blanked, field.type)),
        "empty": lambda: table.set_column(at, field, pa.nulls(len(table), field.type)),
        "swap": lambda: table.set_column(at, field, pa.array(values[::-1], field.type)),
        "rows": lambda: table.take(pa.array(draw(st.lists(st.integers(0, ROWS - 1), max_size=6)), pa.int64())),
    }
    return edited[draw(st.sampled_from(sorted(edited)))]()


@pytest.mark.parametrize("count", COUNTS)
def test_tables_that_were_edited_are_read_as_written_or_refused_in_one_line(count, shard):
    table, expected = feather.read_table(shard, memory_map=False), content(shard.parent)

    @inputs(count)
    @given(edits(table))
    def check(edited):
        feather.write_feather(edited, shard, compression="uncompressed")
        assert content(shard.parent) in (None, expected)

    with little_memory():
        check()


@pytest.mark.parametrize("count", COUNTS)
def test_pictures_of_any_bytes_or_sizes_are_read_as_written_or_refused_in_one_line(count, shard):
    written = pair(0, side=8)
    sizes = st.integers(1, 12)
    shapes = st.tuples(sizes, sizes) | st.tuples(sizes, sizes, st.just(3))
    encoded = shapes.map(lambda shape: pairs.encode(np.full(shape, 200, np.uint8)))

    @inputs(count)
    @given(st.sampled_from(["target", "corrupted", "mask"]), st.binary(max_size=50) | encoded | damaged(written.target))
    def check(name, picture):
        spoilt = pairs.Pair(**vars(written) | {name: picture})
        shard.unlink(missing_ok=True)
        pairs.write(shard.parent, "train", [written, spoilt])
        content(shard.parent)

    with little_memory():
        check()
