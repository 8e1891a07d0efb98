from typing import get_args

import numpy as np
import pytest

from pipeline import params
from pipeline.corruptions.labels import APART, RENDERED, has_truth, task_of
from pipeline.corruptions.renderings import RENDERINGS, render
from tests.corruptions.made import picture


def discs(side: int = 96) -> np.ndarray:
    """A red disc on grey, uint8 HWC."""
    down, across = np.mgrid[:side, :side] - side / 2
    inside = down**2 + across**2 < (side / 4) ** 2
    return np.where(inside[..., None], np.uint8([200, 40, 40]), np.uint8([120, 120, 120]))


def patch_of_noise(side: int = 96) -> np.ndarray:
    """Grey, and in the middle a square of coloured noise, uint8 HWC."""
    image = np.full((side, side, 3), 120, np.uint8)
    image[side // 4 : -side // 4, side // 4 : -side // 4] = picture(side // 2, side // 2)
    return image


def test_the_table_names_what_parameters_and_labels_name():
    assert list(RENDERINGS) == list(get_args(params.Domains.model_fields["rendering"].annotation)) == list(RENDERED)
    assert {*APART, "none", "rendering", "damage"} == {*get_args(params.Domains.model_fields["by"].annotation)}
    assert {task_of(label) for label in (*RENDERED, *APART)} == {"translate"}
    assert all(map(has_truth, (*RENDERED, "scratch"))) and not any(map(has_truth, APART))


@pytest.mark.parametrize("name", RENDERINGS)
def test_the_same_picture_has_the_same_rendering_and_its_own_is_not_touched(name):
    image = picture(40, 50)
    before = image.copy()
    rendered = render(name, image)
    assert rendered.shape == image.shape and rendered.dtype == np.uint8
    assert np.array_equal(render(name, image), rendered) and np.array_equal(image, before)


@pytest.mark.parametrize("name", ["pencil", "sketch"])
def test_a_drawing_is_white_where_there_is_nothing_and_dark_where_there_is_much(name):
    rendered = render(name, patch_of_noise())
    assert rendered[4:12, 4:12].min() > 240
    assert rendered[32:64, 32:64].mean() < 150


def test_a_painting_has_dark_outlines_and_keeps_the_colours():
    rendered = render("painting", discs()).astype(int)
    assert np.abs(rendered[44:52, 44:52] - [200, 40, 40]).max() < 25
    assert rendered.mean(-1).min() < 40


def test_only_the_sketch_is_grey():
    grey = {name: bool((np.ptp(render(name, patch_of_noise()), axis=-1) == 0).all()) for name in RENDERINGS}
    assert grey == {"pencil": False, "sketch": True, "painting": False}


@pytest.mark.parametrize("name", RENDERINGS)
def test_the_border_is_rendered_as_the_middle_is(name):
    rendered = render(name, np.full((64, 64, 3), 90, np.uint8))
    assert np.ptp(rendered) <= 2
