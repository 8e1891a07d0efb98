import io
import pickle
import sys

import numpy as np
import pytest
from torch import nn

from pipeline.metrics import feature_networks
from pipeline.metrics.feature_networks import FEATURE_NETWORKS, activations, read_pickle, set_weights
from pipeline.runtime.errors import UserError


def test_weights_come_as_they_are_stored():
    kernel, bias = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4), np.arange(4, dtype=np.float32)
    layers = nn.Sequential(nn.Conv2d(3, 4, 1))
    set_weights(layers, [(kernel, bias)])
    assert layers[0].weight[..., 0, 0].tolist() == np.arange(12).reshape(3, 4).T.tolist()
    assert layers[0].bias.tolist() == [0, 1, 2, 3]


class Harmful:
    def __reduce__(self):
        return (exec, ("raise SystemExit('it ran')",))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_code_of_a_pickle_is_run(protocol):
    with pytest.raises(UserError, match=r"the weights ask for (builtins|__builtin__)\.exec, and only arrays are read"):
        read_pickle(pickle.dumps([Harmful()], protocol))


def test_an_array_of_objects_runs_no_code_either():
    with pytest.raises(UserError, match="only arrays are read"):
        read_pickle(pickle.dumps(np.array([Harmful(), 1], dtype=object), 3))


@pytest.mark.parametrize("content", [b"", b"\x80", b"no pickle", pickle.dumps([1, 2])[:-4]])
def test_what_is_no_pickle_is_one_line(content):
    with pytest.raises(UserError, match=r"^the weights cannot be read \(.*\); make perceptual brings it again$"):
        read_pickle(content)


def test_weights_of_more_layers_or_fewer_are_refused():
    one = np.zeros((1, 1, 3, 4), np.float32), np.zeros(4, np.float32)
    with pytest.raises(ValueError):
        set_weights(nn.Sequential(nn.Conv2d(3, 4, 1)), [one, one])


def test_a_network_sees_blue_first_less_the_mean_of_imagenet():
    pictures = np.full((1, 2, 2, 3), (200, 100, 50), np.uint8)
    (seen,) = activations(nn.Sequential(nn.Identity()), pictures, (0,))
    assert seen[0, :, 0, 0].tolist() == pytest.approx([50 - 104.00699, 100 - 116.66877, 200 - 122.67892], abs=1e-4)


@pytest.mark.parametrize("name", ["squeezenet", "vgg16"])
def test_the_layers_compared_are_there_and_end_in_what_is_not_negative(name):
    network = FEATURE_NETWORKS[name]
    pictures = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    found = activations(network.build(), pictures, network.taps)
    assert len(found) == len(network.taps)
    assert all(each.min() >= 0 for each in found)
    assert not any(each.requires_grad for each in found)


def test_the_numbers_of_weights_are_those_of_the_papers():
    counts = {
        name: sum(parameter.numel() for parameter in FEATURE_NETWORKS[name].build().parameters())
        for name in ("squeezenet", "vgg16")
    }
    assert counts == {"squeezenet": 722_496, "vgg16": 14_714_688}


def test_vgg16_without_h5py_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match="^h5py: not installed; make perceptual brings it$"):
        FEATURE_NETWORKS["vgg16"].read(b"")


def test_kernels_of_hdf5_come_in_the_order_of_the_layers():
    h5py = pytest.importorskip("h5py")
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for number, (block, name) in enumerate(
            (block, f"conv2d{f'_{index}' if index else ''}")
            for block, depth in enumerate(feature_networks.VGG_DEPTHS, 1)
            for index in range(depth)
        ):
            file[f"block{block}/layers/{name}/vars/0"] = np.full((3, 3, 1, 1), number, np.float32)
            file[f"block{block}/layers/{name}/vars/1"] = np.full(1, number, np.float32)
    weights = FEATURE_NETWORKS["vgg16"].read(content.getvalue())
    assert [kernel[0, 0, 0, 0] for kernel, _ in weights] == list(range(13))
    assert [bias[0] for _, bias in weights] == list(range(13))
