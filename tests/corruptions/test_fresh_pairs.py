import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline import corrupt
from pipeline.corruptions import fresh_pairs
from pipeline.corruptions.fresh_pairs import FreshPairs
from pipeline.datasets.pairs import Pairs
from pipeline.params import load
from pipeline.training.batches import training_batches
from tests.test_corrupt import jpeg, make_store, set_params

PAIRS = Path("data/pairs")
VARIANTS = 3


@pytest.fixture
def stores(tmp_path, monkeypatch) -> tuple[FreshPairs, Pairs]:
    """The train pairs of the same photos, fresh and frozen; `data/pairs` is as for the fresh."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MENDLINE_WORKERS", "1")
    shutil.copy(Path(__file__).parents[2] / "dvc.yaml", ".")
    make_store([jpeg(number) for number in range(20)])
    set_params(variants=VARIANTS)
    corrupt.make(load().corrupt)
    shutil.move("data/pairs", "frozen")
    set_params(variants=0)
    corrupt.make(load().corrupt)
    return fresh_pairs.open_pairs(PAIRS, "train", corrupt.PHOTOS), Pairs(Path("frozen"), "train")


def test_a_fresh_pair_is_the_frozen_one_of_its_photo_and_variant(stores):
    fresh, frozen = stores
    assert len(fresh) * VARIANTS == len(frozen)
    assert fresh.column("image_id") == frozen.column("image_id")[::VARIANTS]
    for row, variant in enumerate(frozen.column("variant")):
        made = fresh.pictures(variant * len(fresh) + row // VARIANTS)
        assert all(np.array_equal(*pair) for pair in zip(made, frozen.pictures(row), strict=True))


def test_val_and_test_are_frozen_and_train_takes_no_room(stores):
    names = sorted(path.name for path in Path("data/pairs").iterdir())
    assert names == ["test-00000.feather", "train.json", "val-00000.feather"]
    for split in ("val", "test"):
        assert set(fresh_pairs.open_pairs(PAIRS, split, corrupt.PHOTOS).column("variant")) == {0}


def test_a_process_that_begins_anew_makes_the_same(stores):
    fresh, _ = stores
    fresh_pairs._plan.cache_clear()
    again = pickle.loads(pickle.dumps(fresh))
    assert np.array_equal(again.pictures(7)[1], fresh.pictures(7)[1])


def test_each_epoch_has_its_own_damage_and_a_resumed_one_the_same(stores, train_params):
    fresh, _ = stores
    params = train_params.model_copy(update={"batch": len(fresh), "crop": 0})
    first, second = (list(training_batches(fresh, params, range(step, step + 1))) for step in (0, 1))
    (_, resumed) = training_batches(fresh, params, range(2))
    assert all((one == two).all() for one, two in zip(second[0], resumed, strict=True))
    assert {mask.sum().item() for mask in first[0][2]} != {mask.sum().item() for mask in second[0][2]}


def test_the_recipe_changes_with_what_decides_the_pairs(stores):
    recipe = (PAIRS / "train.json").read_text()
    set_params(variants=0, max_hole=0.5)
    corrupt.make(load().corrupt)
    assert (PAIRS / "train.json").read_text() != recipe
