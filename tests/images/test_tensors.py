import numpy as np
import torch

from pipeline.images.tensors import mask_to_tensor, to_tensor, to_uint8


def test_a_picture_is_the_same_after_the_way_there_and_back():
    picture = np.arange(2 * 16 * 8 * 3, dtype=np.uint16).reshape(2, 16, 8, 3).astype(np.uint8)  # all levels
    tensor = to_tensor(picture)
    assert tensor.shape == (2, 3, 16, 8)
    assert tensor.min() == 0 and tensor.max() == 1
    assert round(tensor[1, 2, 3, 4].item() * 255) == picture[1, 3, 4, 2]
    assert np.array_equal(to_uint8(tensor), picture)


def test_what_lies_between_two_levels_is_rounded_and_what_lies_beyond_is_clipped():
    values = torch.tensor([-0.5, 0.4 / 255, 0.6 / 255, 254.6 / 255, 1.5]).reshape(1, 1, 1, 5)
    assert to_uint8(values).ravel().tolist() == [0, 0, 1, 255, 255]


def test_a_mask_is_one_where_it_is_true():
    mask = np.eye(5, 7, dtype=bool)[None]
    assert mask_to_tensor(mask).shape == (1, 1, 5, 7)
    assert np.array_equal(mask_to_tensor(mask)[:, 0], mask)
