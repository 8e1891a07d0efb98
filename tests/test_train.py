import pytest

from pipeline import train
from pipeline.runtime.errors import UserError


def test_pairs_of_another_size_than_the_parameters_have_are_refused(ten_pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "PAIRS", tmp_path / "pairs")
    assert len(train.open_pairs("train", 32)) == 10
    with pytest.raises(UserError, match="pictures of 32 x 32 px; corrupt.image_size is 64; run dvc repro corrupt"):
        train.open_pairs("train", 64)
