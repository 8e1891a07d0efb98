import pytest

from pipeline.runtime import environment
from pipeline.runtime.errors import UserError


@pytest.mark.parametrize(
    "workers", ["0", "-1", "two", "1.5", " ", "1025", "9" * 5000, "x" * 5000, "²", "1\n", "\udcff"]
)
def test_a_wrong_number_of_workers_is_refused(monkeypatch, workers):
    monkeypatch.setenv("MENDLINE_WORKERS", workers)
    with pytest.raises(
        UserError, match=r"^MENDLINE_WORKERS is .*; expected a number of processes, 1 to 1024$"
    ) as error:
        environment.workers()
    assert len(str(error.value)) < 200


def test_an_empty_number_of_workers_is_none(monkeypatch):
    monkeypatch.delenv("MENDLINE_WORKERS", raising=False)
    cores = environment.workers()
    monkeypatch.setenv("MENDLINE_WORKERS", "")
    assert environment.workers() == cores > 0
