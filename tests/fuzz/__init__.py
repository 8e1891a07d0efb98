"""Generated inputs: each ends right or in one line; 25 of a kind, 100 in the long tests, 1,000 in the slow ones."""

import pytest
from hypothesis import HealthCheck, settings

COUNTS = [25, pytest.param(100, marks=pytest.mark.long), pytest.param(1000, marks=pytest.mark.slow)]


def inputs(count: int) -> settings:
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
