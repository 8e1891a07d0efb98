from typing import get_args

import pytest

from pipeline import params
from pipeline.networks.blocks import BLOCKS, DECODERS
from pipeline.networks.registry import GENERATORS, build_generator

ARGUMENTS = {"design": "residual", "channels": 4, "blocks": 1, "scales": 2, "patch": 2, "block": "plain"}
ARGUMENTS |= {
    "attention": False,
    "prior": "plate",
    "see_through": True,
    "decoder": "bilinear",
    "copy_pixels": True,
    "least_seen": 3,
    "fine": 4,
}


def literal(section: type, name: str) -> list[str]:
    return list(get_args(section.model_fields[name].annotation))


def test_the_tables_name_what_the_parameters_name():
    assert list(GENERATORS) == literal(params.Generator, "design")
    assert list(BLOCKS) == literal(params.Generator, "block")
    assert list(DECODERS) == literal(params.Generator, "decoder")


@pytest.mark.parametrize("design", GENERATORS)
@pytest.mark.parametrize(("scales", "patch"), [(1, 1), (3, 4), (2, 8)])
def test_the_parameters_know_the_stride_of_the_network(design, scales, patch):
    arguments = ARGUMENTS | {"design": design, "scales": scales, "patch": patch}
    assert params.Generator(**arguments).stride == build_generator(**arguments).stride


@pytest.mark.parametrize("design", GENERATORS)
def test_a_design_says_whether_it_refines_a_prior(design):
    network = build_generator(**ARGUMENTS | {"design": design})
    assert GENERATORS[design].has_prior == hasattr(network, "refine") == hasattr(network, "prior")


def test_an_unknown_design_is_no_other():
    with pytest.raises(KeyError):
        build_generator(**ARGUMENTS | {"design": "magic"})
