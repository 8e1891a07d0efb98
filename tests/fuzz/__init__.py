"""Generated inputs: each ends right or in one line; 100 of a kind here, 1,000 in the long tests."""

import pytest
from hypothesis import HealthCheck, settings

COUNTS = [100, pytest.param(1000, marks=pytest.mark.slow)]


def inputs(count: int) -> settings:
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
