from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.params import Generator
from pipeline.priors import torch_fill
from pipeline.priors.numpy_fill import SWEEPS, fill


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(list(SWEEPS)),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    seed=st.integers(0, 1000),
    share=st.floats(0, 0.99),
)
def test_it_is_the_prior_that_the_generator_was_trained_on(name, height, width, seed, share):
    rng = np.random.default_rng(seed)
    image, hole = rng.random((height, width, 3), np.float32), rng.random((height, width)) < share
    hole[rng.integers(height), rng.integers(width)] = False
    tensors = torch.from_numpy(image.transpose(2, 0, 1)[None].copy()), torch.from_numpy(hole[None, None]).float()
    expected = torch_fill.fill(name, *tensors)[0].permute(1, 2, 0).numpy()
    assert fill(name, image, hole) == pytest.approx(expected, abs=2e-5)
    assert np.array_equal(fill(name, image, hole)[~hole], image[~hole])


def test_a_large_hole_is_filled():
    image, hole = np.full((300, 200, 3), 0.25, np.float32), np.ones((300, 200), bool)
    hole[0] = False
    image[hole] = 1
    assert fill("plate", image, hole) == pytest.approx(0.25, abs=1e-3)


def test_the_tables_name_the_priors_that_the_parameters_name():
    assert list(torch_fill.PRIORS) == list(get_args(Generator.model_fields["prior"].annotation))
    assert list(SWEEPS) == [name for name in torch_fill.PRIORS if name != "exemplar"]  # which is in numpy alone


def test_an_unknown_prior_is_no_other():
    image, hole = np.zeros((8, 8, 3), np.float32), np.eye(8, dtype=bool)
    with pytest.raises(KeyError):
        fill("magic", image, hole)
    with pytest.raises(KeyError):
        torch_fill.fill("magic", torch.zeros(1, 3, 8, 8), torch.eye(8)[None, None])
