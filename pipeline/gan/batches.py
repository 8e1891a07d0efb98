"""Batches of pairs: their order is a pure function of the seed, their contents of the seed and the step."""

from collections.abc import Iterator

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline.pairs import Pairs
from pipeline.pixels import mask_to_tensor, to_tensor

Batch = tuple[Tensor, Tensor, Tensor]


class _Draws(Dataset):
    """Pairs by (row, turn): each is decoded, and turned one of the square's eight ways."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs

    def __getitem__(self, draw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        row, turn = draw
        target, corrupted, mask = self.pairs.pictures(row)
        return _turned(target, turn), _turned(corrupted, turn), _turned(mask, turn)


def _turned(picture: np.ndarray, turn: int) -> np.ndarray:
    return np.rot90(picture.swapaxes(0, 1) if turn >= 4 else picture, turn % 4)


def _stacked(draws: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Batch:
    targets, images, masks = (np.stack(pictures) for pictures in zip(*draws, strict=True))
    return to_tensor(targets), to_tensor(images), mask_to_tensor(masks)


def training_batches(pairs: Pairs, batch: int, seed: int, steps: range) -> Iterator[Batch]:
    """One shuffled, augmented batch for each step.

    Args:
        pairs: what to draw from; every pair is drawn once before any is drawn again.
        batch: pairs a step.
        seed: of the order and of the turns.
        steps: the steps to yield, counted from 0 at the beginning of the training.

    Yields:
        Target and damaged picture (float NCHW in [0, 1]) and mask (float N1HW, 1 where to restore).
    """
    draws = (draws_of(step, len(pairs), batch, seed) for step in steps)
    yield from DataLoader(_Draws(pairs), batch_sampler=draws, collate_fn=_stacked)


def draws_of(step: int, count: int, batch: int, seed: int) -> list[tuple[int, int]]:
    """The row, of `count`, and the turn (0 to 7) of each pair in the batch of a step."""
    turns = np.random.default_rng([seed, step]).integers(8, size=batch)
    positions = range(step * batch, (step + 1) * batch)
    orders = {epoch: _order(epoch, count, seed) for epoch in {position // count for position in positions}}
    rows = [orders[position // count][position % count] for position in positions]
    return list(zip(rows, turns.tolist(), strict=True))


def _order(epoch: int, count: int, seed: int) -> list[int]:
    return np.random.default_rng([seed, epoch, count]).permutation(count).tolist()
