import pytest

from pipeline.errors import UserError
from pipeline.gan import device


@pytest.mark.parametrize(
    "wanted", ["meta", "cpu:1", "gpu", "cuda:", "cuda:1000", "cuda:-1", " cpu", "cpu\n", "x" * 5000]
)
def test_a_device_of_another_name_is_refused(monkeypatch, wanted):
    monkeypatch.setenv("MENDLINE_DEVICE", wanted)
    with pytest.raises(
        UserError, match=r"^MENDLINE_DEVICE is .*; expected cpu, cuda, cuda:1 \(a number\) or mps$"
    ) as error:
        device.pick()
    assert len(str(error.value)) < 200


def test_a_device_that_is_not_here_is_refused(monkeypatch):
    monkeypatch.setenv("MENDLINE_DEVICE", "cuda:999")
    with pytest.raises(UserError, match=r"^MENDLINE_DEVICE is 'cuda:999': .*; unset it to pick a device$"):
        device.pick()


def test_an_empty_name_is_none(monkeypatch):
    monkeypatch.delenv("MENDLINE_DEVICE", raising=False)
    picked = device.pick()
    monkeypatch.setenv("MENDLINE_DEVICE", "")
    assert device.pick() == picked
