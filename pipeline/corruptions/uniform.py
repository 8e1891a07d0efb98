"""Draws between the bounds that a parameter gives, both included."""

import numpy as np


def draw_count(rng: np.random.Generator, bounds: list[int]) -> int:
    """A whole number."""
    return int(rng.integers(bounds[0], bounds[1], endpoint=True))


def draw_amount(rng: np.random.Generator, bounds: list[float]) -> float:
    """A real number."""
    return rng.uniform(bounds[0], bounds[1])
