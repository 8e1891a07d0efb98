import pandas as pd
import pytest
import torch

from pipeline import train
from pipeline.errors import UserError
from pipeline.gan import checkpoint
from pipeline.gan.batches import draws_of
from pipeline.gan.curves import Curves


@pytest.fixture
def gone_wrong() -> Curves:
    """Five good steps, a point, and a step whose loss is no number."""
    curves = Curves()
    for _ in range(5):
        curves.add({"l1": torch.tensor(0.1)})
    curves.point()
    curves.add({"l1": torch.tensor(float("nan"))})
    return curves


def test_a_loss_that_is_no_number_is_one_line_with_all_that_is_needed(gone_wrong, ten_pairs, train_params, tmp_path):
    checkpoint.save(tmp_path, 4, {}, {})
    with pytest.raises(UserError) as error:
        train.examine(gone_wrong, ten_pairs, train_params, tmp_path)
    text = str(error.value)
    rows = [row for row, _ in draws_of(5, 10, train_params.batch, train_params.seed)]
    assert text.startswith("train: step 6: l1 is nan; set a smaller train.lr")
    assert f"image ids of the batch: {', '.join(map(str, rows))};" in text
    assert f"last good checkpoint: {tmp_path}/step-00000004.safetensors" in text
    assert "\n" not in text
    assert pd.read_csv(tmp_path / "losses.csv").step.tolist() == [5]


def test_what_has_gone_wrong_is_not_kept_as_a_checkpoint(gone_wrong, ten_pairs, train_params, tmp_path):
    trainer = train.Trainer(train_params, torch.device("cpu"))
    with pytest.raises(UserError, match="last good checkpoint: none"):
        train.keep(trainer, gone_wrong, ten_pairs, tmp_path)
    assert checkpoint.kept(tmp_path) == []
