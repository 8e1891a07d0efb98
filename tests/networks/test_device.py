import pytest

from pipeline.networks import device
from pipeline.runtime.errors import UserError


@pytest.mark.parametrize(
    "wanted", ["meta", "cpu:1", "gpu", "cuda:", "cuda:1000", "cuda:-1", " cpu", "cpu\n", "x" * 5000]
)
def test_a_device_of_another_name_is_refused(monkeypatch, wanted):
    monkeypatch.setenv("MENDLINE_DEVICE", wanted)
    with pytest.raises(
        UserError, match=r"^MENDLINE_DEVICE is .*; expected cpu, cuda, cuda:1 \(a number\) or mps$"
    ) as error:
        device.resolve_device()
    assert len(str(error.value)) < 200


def test_a_device_that_is_not_here_is_refused(monkeypatch):
    monkeypatch.setenv("MENDLINE_DEVICE", "cuda:999")
    with pytest.raises(UserError, match=r"^MENDLINE_DEVICE is 'cuda:999': .*; unset it to pick a device$"):
        device.resolve_device()


def test_an_empty_name_is_none(monkeypatch):
    monkeypatch.delenv("MENDLINE_DEVICE", raising=False)
    picked = device.resolve_device()
    monkeypatch.setenv("MENDLINE_DEVICE", "")
    assert device.resolve_device() == picked
