import hashlib
from dataclasses import replace

import pytest

from pipeline.networks import pretrained
from pipeline.networks.pretrained import PRETRAINED, Pretrained
from pipeline.runtime.errors import UserError

CONTENT = b"the weights"


@pytest.fixture
def small(tmp_path, monkeypatch) -> Pretrained:
    """Weights that are there."""
    monkeypatch.setenv("MENDLINE_CACHE", str(tmp_path))
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    weights = replace(PRETRAINED["squeezenet"], label="Small", member="weights.pkl", sha256=sha256)
    weights.path.parent.mkdir()
    weights.path.write_bytes(CONTENT)
    monkeypatch.setitem(PRETRAINED, "small", weights)
    return weights


def test_weights_come_as_they_are_kept(small):
    assert pretrained.read("small") == CONTENT


def test_weights_that_are_missing_are_one_line_with_what_brings_them(small, tmp_path):
    small.path.unlink()
    with pytest.raises(UserError) as error:
        pretrained.read("small")
    where = tmp_path / "perceptual/weights.pkl"
    assert str(error.value) == f"{where}: the weights of Small are not there; make perceptual brings it"


@pytest.mark.parametrize("change", [lambda content: content[:-5], lambda content: content + b"x", lambda content: b""])
def test_weights_that_are_truncated_or_others_are_one_line(small, change):
    small.path.write_bytes(change(small.path.read_bytes()))
    with pytest.raises(
        UserError, match=r"not the weights of Small, or not all of them; make perceptual brings it again"
    ):
        pretrained.read("small")


def test_an_experiment_in_a_temporary_checkout_finds_the_weights_of_the_main_one(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MENDLINE_CACHE", raising=False)
    assert PRETRAINED["squeezenet"].path == tmp_path / ".cache/perceptual/squeezenet_weights.pkl"
