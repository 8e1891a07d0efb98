import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.params import load
from pipeline.training import batches
from pipeline.training.batches import cache_exemplars, crop_at_mask_edge, load_batch, sample_indices, training_batches
from tests.clone import ROOT


def draw(pairs, batch, crop, seed, steps, rank_slice=slice(None), **generator):
    params = load(ROOT / "params.yaml").train
    generator = params.generator.model_copy(update=generator)
    asked = {"batch": batch, "crop": crop, "seed": seed, "generator": generator}
    return training_batches(pairs, params.model_copy(update=asked), steps, rank_slice)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(24, 60),
    width=st.integers(24, 60),
    side=st.integers(3, 24),
    share=st.sampled_from([0.002, 0.1, 0.9, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_crop_lies_in_the_picture_with_known_and_unknown_pixels(height, width, side, share, seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < share
    mask[rng.integers(height), rng.integers(width)] = True
    cropped = mask[crop_at_mask_edge(mask, side, rng)]
    assert cropped.shape == (side, side)
    assert cropped.any()
    assert cropped.all() == mask.all()


def test_only_the_crop_is_trained_on(ten_pairs):
    (batch,) = draw(ten_pairs, 4, 16, 0, range(1))
    assert [tuple(x.shape) for x in batch] == [(4, 3, 16, 16), (4, 3, 16, 16), (4, 1, 16, 16)]


def test_the_slices_of_several_processes_make_the_batch(ten_pairs):
    (whole,) = draw(ten_pairs, 4, 16, 3, range(1))
    slices = [next(draw(ten_pairs, 4, 16, 3, range(1), slice(rank, None, 2))) for rank in range(2)]
    for together, *apart in zip(whole, *slices, strict=True):
        assert torch.equal(together, torch.stack(apart, 1).flatten(0, 1))


def test_every_pair_is_drawn_once_an_epoch(ten_pairs):
    batches = list(draw(ten_pairs, 5, 0, 0, range(2)))
    targets = torch.cat([target for target, _, _ in batches])
    assert len({tuple(sorted(picture.flatten().tolist())) for picture in targets}) == 10


def test_a_batch_depends_on_its_step_alone(ten_pairs):
    whole = list(draw(ten_pairs, 4, 16, 7, range(6)))
    resumed = list(draw(ten_pairs, 4, 16, 7, range(3, 6)))
    for expected, batch in zip(whole[3:], resumed, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(expected, batch, strict=True))


def test_the_seed_decides_the_order_and_all_other_chance():
    (rows, chance), again, (other_rows, other_chance) = (
        zip(*sample_indices(0, 1000, 8, seed), strict=True) for seed in (0, 0, 1)
    )
    assert (rows, chance) == tuple(again)
    assert rows != other_rows
    assert not set(chance) & set(other_chance)


def test_every_epoch_has_its_own_order():
    first, second = ([row for row, _ in sample_indices(epoch, 10, 10, 0)] for epoch in range(2))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_a_pair_is_turned_all_eight_ways_its_mask_as_its_pictures(ten_pairs):
    targets, images, masks = load_batch(ten_pairs, 0, None, [(3, seed) for seed in range(80)])
    assert len({mask.tobytes() for mask in masks}) == 8
    assert np.array_equal(images, np.where(masks[..., None], 0, targets))


def test_the_exemplar_prior_comes_with_the_batch_turned_and_cut_as_its_pictures(ten_pairs):
    (batch,) = draw(ten_pairs, 6, 16, 0, range(1), prior="exemplar")
    _, image, mask, prior = batch
    assert prior.shape == image.shape
    assert torch.equal(prior * (1 - mask), image * (1 - mask))
    assert ((prior - image).abs() * mask).mean() > 0.01  # the hole is black


def test_exemplar_priors_are_cached_as_far_as_memory_for_them_goes(ten_pairs, monkeypatch):
    monkeypatch.setattr(batches, "CACHED", 2 * 3 * 32 * 32)
    exemplar = cache_exemplars(ten_pairs)
    first = exemplar(0)
    assert exemplar(1).shape == (32, 32, 3)
    assert exemplar(0) is first
    exemplar(2), exemplar(3)
    assert exemplar(0) is not first
    assert np.array_equal(exemplar(0), first)
