from typing import get_args

from pipeline.params import Download
from pipeline.sources.registry import SOURCES


def test_the_parameters_know_the_same_sources():
    assert tuple(SOURCES) == get_args(Download.model_fields["source"].annotation)
    assert set(SOURCES) <= set(Download.model_fields)  # a section each
