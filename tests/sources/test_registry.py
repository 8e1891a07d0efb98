from typing import get_args

from pipeline.params import Download
from pipeline.sources.registry import SOURCES


def test_the_parameters_know_the_same_sources():
    assert tuple(SOURCES) == get_args(Download.model_fields["source"].annotation)
    assert set(SOURCES) <= set(Download.model_fields)  # a section each


def test_a_source_is_read_by_the_module_of_its_name():
    assert {name: read.__module__.split(".")[2] for name, read in SOURCES.items()} == {name: name for name in SOURCES}
