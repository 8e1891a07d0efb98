import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline.commands import profile
from pipeline.params import Params, load
from pipeline.runtime.errors import UserError
from tests.fuzz import COUNTS, inputs
from tests.test_params import LEAVES, YAML_TEXT

TREE = YAML(typ="safe", pure=True).load(YAML_TEXT)
PLAIN = ["null", "true", ".nan", "-.inf", "1e400", "010", "0o17", "1:30", "1_0", "2020-13-45", "2020-01-01", "~", "''"]
PLAIN += ["!!int x", "!!float x", "!!bool x", "!!binary x", "!!timestamp x", "!!set {a}", "!!omap [a: 1]", "!a b"]
PLAIN += [
    "*a",
    "&a [*a]",
    "<<",
    "? a",
    "- a",
    "|",
    ">",
    "%a",
    "@a",
    "`a",
    '"\\0"',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\U00110000"',
    '"\\UFFFFFFFF"',
    "!!omap [a: 1, a: 2]",
    "%YAML 1.99999999999999999999999\n---",
    "9" * 5000,
    "0x" + "f" * 5000,
]
PLAIN += ["[" * 3000, "[" * 3000 + "]" * 3000, "'" + "x" * 5000 + "'", "# \x00", "\t", "\x85", "\u2028", "\ufeff"]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 10**6), st.integers(), st.floats(), st.text(), st.dates())
KEYS = st.text(max_size=4) | SCALARS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=3))
TEXTS = st.one_of(st.sampled_from(PLAIN), VALUES.map(lambda value: json.dumps(value, default=str, skipkeys=True)))
LINES = [line for line in YAML_TEXT.splitlines() if ":" in line]


def loaded(content: bytes, folder) -> Params | None:
    """The parameters in a file; none where it is refused, which is one short line that names the file."""
    (folder / "params.yaml").write_bytes(content)
    try:
        return load(folder / "params.yaml")
    except UserError as error:
        line = str(error)
        assert line.startswith(f"{folder}/params.yaml: ")
        assert len(line.splitlines()) == 1 and len(line) < 500
        line.encode()
        return None


def changed(path: tuple[str, ...], text: str) -> str:
    """`params.yaml` with another text in the place of one value."""
    lines, inside = YAML_TEXT.splitlines(keepends=True), []
    for number, line in enumerate(lines):
        name, colon, _ = line.partition(":")
        if not colon or name.lstrip().startswith("#"):
            continue
        inside[(len(name) - len(name.lstrip())) // 2 :] = [name.strip()]
        if tuple(inside) == path:
            lines[number] = f"{name}: {text}\n"
            return "".join(lines)
    raise KeyError(path)


@pytest.mark.parametrize("count", COUNTS)
def test_any_value_of_any_parameter_is_taken_as_it_is_or_refused(count, tmp_path):
    @inputs(count)
    @given(path=st.sampled_from(sorted(LEAVES)), text=TEXTS)
    def check(path, text):
        params = loaded(changed(path, text).encode("utf-8", "surrogatepass"), tmp_path)
        if params:
            values = LEAVES | {path: YAML(typ="safe", pure=True).load(f"a: {text}\n")["a"]}
            taken = params.model_dump()
            for key, value in values.items():
                found = taken
                for part in key:
                    found = found[part]
                assert found == value and isinstance(found, bool) == isinstance(value, bool)

    check()


@pytest.mark.parametrize("count", COUNTS)
def test_any_file_of_parameters_is_refused_in_one_line(count, tmp_path):
    pieces = st.one_of(st.sampled_from(PLAIN), st.sampled_from(LINES), st.text(max_size=20))
    texts = st.lists(pieces, max_size=12).map(lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass"))

    @inputs(count)
    @given(content=texts | st.binary(max_size=200))
    def check(content):
        assert loaded(content, tmp_path) is None

    check()


def lies_over(taken, values):
    """Whether each value is there; an empty section changes nothing."""
    if not isinstance(values, dict):
        return taken == values
    return all(lies_over(taken[name], value) for name, value in values.items())


@pytest.mark.parametrize("count", COUNTS)
def test_any_profile_is_laid_over_the_parameters_or_changes_nothing(count, tmp_path):
    params, file = tmp_path / "params.yaml", tmp_path / "any.yaml"
    sections = st.dictionaries(st.sampled_from([*TREE["train"], "nothing"]), VALUES, max_size=2)
    profiles = st.one_of(VALUES, st.fixed_dictionaries({"train": sections}))

    @inputs(count)
    @given(values=profiles)
    def check(values):
        params.write_text(YAML_TEXT)
        written = io.BytesIO()
        YAML(typ="safe", pure=True).dump(values, written)
        file.write_bytes(written.getvalue())
        try:
            profile.apply(file, params)
        except UserError as error:
            assert str(error).startswith(f"{file}: ") and len(str(error).splitlines()) == 1
            assert params.read_text() == YAML_TEXT
        else:
            assert lies_over(load(params).model_dump(), values)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["any.yaml", "params.yaml"]

    check()
