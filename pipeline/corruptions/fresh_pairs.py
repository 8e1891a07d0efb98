"""Pairs that are made when they are asked for, from the photos; the same as frozen ones of that variant would be.

Where `corrupt.variants` is 0, corrupt writes a recipe instead of the train pairs: the parameters, and the fingerprint
of all code and data that decides the pairs. So `data/pairs` changes when one of these does, and who trains on fresh
pairs need not depend on their code.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from pydantic import BaseModel

from pipeline.corruptions import photo_pairs
from pipeline.datasets import photos
from pipeline.datasets.pairs import Pairs
from pipeline.datasets.photos import Photo
from pipeline.datasets.silhouettes import Silhouette
from pipeline.datasets.splits import assign_splits
from pipeline.images.resize import resize
from pipeline.params import Corrupt

RECIPE = "train.json"


class Recipe(BaseModel):
    """What corrupt writes in the place of the train pairs."""

    fingerprint: str
    corrupt: Corrupt


class _Plan(NamedTuple):
    photos: list[Photo]
    silhouettes: list[Silhouette]
    params: Corrupt


def write_recipe(folder: Path, fingerprint: str, params: Corrupt) -> None:
    """Write it, into the folder of the pairs."""
    (folder / RECIPE).write_text(Recipe(fingerprint=fingerprint, corrupt=params).model_dump_json(indent=2) + "\n")


def open_pairs(folder: Path, split: str, store: Path) -> "Pairs | FreshPairs":
    """The pairs of a split: frozen, or made from the photos in `store` where there is a recipe for them.

    Raises:
        UserError: there are none, or no photos.
    """
    recipe = folder / RECIPE
    return FreshPairs(store, recipe.read_text()) if split == "train" and recipe.exists() else Pairs(folder, split)


class FreshPairs:
    """The train pairs, without end: number `n` is of photo `n % len`, variant `n // len`.

    Pickled it is a path and the recipe: each process reads the rest by itself.
    """

    def __init__(self, store: Path, recipe: str) -> None:
        self.store, self.recipe = store, recipe
        self.size = (_plan(store, recipe).params.image_size,) * 2

    def __len__(self) -> int:
        return len(_plan(self.store, self.recipe).photos)

    def column(self, name: str) -> list:
        """`image_id` of each photo: the only one that is known before."""
        return [getattr(photo, name) for photo in _plan(self.store, self.recipe).photos]

    def pictures(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `Pairs.pictures`."""
        _, target, corrupted, mask, _ = _make(self.store, self.recipe, number)
        if corrupted.shape != target.shape:
            corrupted = resize(corrupted, self.size, Image.Resampling.BICUBIC)
        return target, corrupted, mask

    def target(self, number: int) -> np.ndarray:
        """What `pictures` gives first."""
        return _make(self.store, self.recipe, number)[1]

    def label(self, number: int) -> str:
        """As `Pairs.label`."""
        return _make(self.store, self.recipe, number)[0]


@lru_cache(maxsize=1)
def _make(store: Path, recipe: str, number: int) -> tuple[str, np.ndarray, np.ndarray, np.ndarray, float]:
    plan = _plan(store, recipe)
    variant, index = divmod(number, len(plan.photos))
    photo, params = plan.photos[index], plan.params
    silhouette = photo_pairs.choose_silhouette(plan.silhouettes, photo, variant, params.seed)
    seed = photo_pairs.seed_of(params.seed, photo, variant)
    return photo_pairs.make_pair(photos.read(store, photo), "train", silhouette, seed, params)


@lru_cache(maxsize=2)
def _plan(store: Path, recipe: str) -> _Plan:
    params = Recipe.model_validate_json(recipe).corrupt
    splits = assign_splits(photos.index(store), params.val, params.test)
    return _Plan(splits["train"], photo_pairs.list_fitting_silhouettes(store, splits, params)["train"], params)
