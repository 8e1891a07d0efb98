import numpy as np
import pytest

from pipeline.corruptions import occlusion

from .made import PARAMS, picture

IMAGE = picture(100, 60)


def one(fill, seed, side=(0.3, 0.3)):
    update = {"count": [1, 1], "side": list(side), "fills": [fill]}
    return occlusion.corrupt(IMAGE, np.random.default_rng(seed), PARAMS.occlusion.model_copy(update=update))


@pytest.mark.parametrize("seed", range(8))
def test_a_shape_has_the_asked_size(seed):
    _, mask = one("constant", seed)
    assert np.ptp(np.nonzero(mask), axis=1).tolist() == [29, 17]


def test_both_rectangles_and_ellipses_come():
    filled = [one("constant", seed)[1].sum() / (30 * 18) for seed in range(20)]
    assert max(filled) == 1
    assert min(filled) == pytest.approx(np.pi / 4, abs=0.03)


def test_constant_is_one_color():
    corrupted, mask = one("constant", 0)
    assert len(np.unique(corrupted[mask], axis=0)) == 1


def test_noise_is_of_many_colors():
    corrupted, mask = one("noise", 0)
    assert len(np.unique(corrupted[mask], axis=0)) == mask.sum()
    assert not np.array_equal(corrupted[mask], IMAGE[mask])


def test_texture_is_the_picture_from_elsewhere_or_a_pattern_of_two_colors():
    known = {tuple(color) for color in IMAGE.reshape(-1, 3)}
    colors = []
    for seed in range(12):
        corrupted, mask = one("texture", seed)
        seen = {tuple(color) for color in corrupted[mask]}
        colors.append(len(seen))
        assert len(seen) <= 2 or seen <= known
    assert min(colors) <= 2 < max(colors)
