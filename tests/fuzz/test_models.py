import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.commands import export
from pipeline.inference.restorer import Restorer
from pipeline.networks import weights
from pipeline.networks.registry import build_generator
from pipeline.runtime.errors import UserError
from tests.fuzz import COUNTS, inputs
from tests.fuzz.damage import damaged, little_memory

CPU = torch.device("cpu")
ARGUMENTS = {
    "design": "residual",
    "channels": 4,
    "blocks": 1,
    "scales": 2,
    "patch": 2,
    "block": "plain",
    "attention": False,
    "prior": "harmonic",
    "see_through": True,
}
IMAGE = np.random.default_rng(0).integers(0, 256, (1, 24, 32, 3), dtype=np.uint8)
MASK = np.zeros((1, 24, 32), bool)
MASK[0, 5:15, 5:15] = True


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A model with its graph."""
    torch.manual_seed(0)
    generator = build_generator(**ARGUMENTS)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    folder = tmp_path_factory.mktemp("models") / "whole"
    config = {"generator": ARGUMENTS, "image_size": 32}
    weights.save(folder, generator, config)
    export.write(export.Refine(generator), config, folder / "generator.onnx")
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "model")


def in_one_line(error):
    text = str(error)
    return "\n" not in text and len(text) < 1000


def restored(folder):
    """The picture that the model gives; None where it is refused."""
    try:
        return weights.restore(weights.load(folder, CPU), IMAGE, MASK)
    except UserError as error:
        assert in_one_line(error)
        return None


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", ["generator.safetensors", "config.json"])
def test_damaged_models_restore_alike_or_are_refused_in_one_line(name, count, whole, folder):
    expected = restored(whole)

    @inputs(count)
    @given(damaged((whole / name).read_bytes()))
    def check(spoilt):
        (folder / name).write_bytes(spoilt)
        picture = restored(folder)
        assert picture is None or np.array_equal(picture, expected)

    with little_memory():
        check()


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
nested = st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner))
keys = st.sampled_from([*ARGUMENTS, "generator", "sha256"]) | st.text(max_size=9)


@pytest.mark.parametrize("count", COUNTS)
def test_configurations_that_were_edited_are_refused_in_one_line_or_make_no_difference(count, whole, folder):
    expected = restored(whole)
    config = json.loads((whole / "config.json").read_text())

    @inputs(count)
    @given(st.sampled_from(["top", "generator"]), keys, nested, st.booleans())
    def check(level, key, value, remove):
        edited = json.loads(json.dumps(config))
        section = edited if level == "top" else edited["generator"]
        section.pop(key, None)
        if not remove:
            section[key] = value
        (folder / "config.json").write_text(json.dumps(edited))
        picture = restored(folder)
        assert picture is None or np.array_equal(picture, expected)

    with little_memory():
        check()


@pytest.mark.parametrize("count", COUNTS)
def test_graphs_with_damaged_weights_restore_alike_or_are_refused_in_one_line(count, whole, folder):
    expected = Restorer.load(whole / "generator.onnx")(IMAGE, MASK)

    @inputs(count)
    @given(damaged((whole / "generator.safetensors").read_bytes()))
    def check(spoilt):
        (folder / "generator.safetensors").write_bytes(spoilt)
        try:
            assert np.array_equal(Restorer.load(folder / "generator.onnx")(IMAGE, MASK), expected)
        except UserError as error:
            assert in_one_line(error)

    with little_memory():
        check()


@pytest.mark.parametrize("count", COUNTS)
def test_graphs_with_other_metadata_are_refused_in_one_line(count, whole, folder):
    graph = onnx.load(whole / "generator.onnx", load_external_data=False)

    @inputs(count)
    @given(nested.map(json.dumps) | nested.map(lambda value: json.dumps({"generator": value})) | st.text(max_size=30))
    def check(config):
        del graph.metadata_props[:]
        onnx.helper.set_model_props(graph, {"config": config})
        onnx.save(graph, folder / "generator.onnx")
        with pytest.raises(UserError) as error:
            Restorer.load(folder / "generator.onnx")
        assert in_one_line(error.value)

    check()
