import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from filelock import FileLock
from ruamel.yaml import YAML
from skimage import data

from pipeline.datasets import pairs
from pipeline.images.tensors import to_tensor
from pipeline.networks import weights
from pipeline.networks.registry import build_generator
from pipeline.params import Train, load
from pipeline.training.detecting import cross_entropy
from tests.clone import ROOT, Clone, finish
from tests.sources.coco.host import Host, dataset

GREEN = 0, 255, 0  # what is damage to `green_detector`
TRAIN, VAL = dataset(range(1, 13), 200, 150), dataset(range(100, 109), 200, 150)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(4 * 3600))


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as server:
        yield server
        server.shutdown()


@pytest.fixture
def coco_host(host) -> Host:
    """Serves 12 and 9 photos big enough to break off in."""
    host.serve_coco(train2017=TRAIN, val2017=VAL)
    return host


def make_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first of the session's processes to need it makes; the others wait for it, and share it."""
    session = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent
    folder, made = session / name, session / f"{name}.made"
    with FileLock(session / f"{name}.lock"):
        if not made.exists():
            assert not folder.exists(), "the process that came first could not make it"
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def mlflow_db(tmp_path_factory) -> Path:
    """An empty store; to make one takes MLflow seconds. Not to be changed."""

    def make(folder: Path) -> None:
        from mlflow import MlflowClient

        folder.mkdir()
        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()

    return make_once(tmp_path_factory, "store", make) / "mlflow.db"


@pytest.fixture(scope="session")
def green_detector(tmp_path_factory) -> Path:
    """A small trained detector, in seconds: green strokes on a photograph are damage. Not to be changed."""

    def make(folder: Path) -> None:
        arguments = {"channels": 8, "blocks": 1, "scales": 2, "patch": 2, "decoder": "bilinear"}
        torch.manual_seed(0)
        detector = build_generator("detector", block="plain", attention=False, **arguments)
        optimizer, rng = torch.optim.Adam(detector.parameters(), 0.005), np.random.default_rng(0)
        for _ in range(60):
            images, masks = zip(*(green_strokes(rng) for _ in range(8)), strict=True)
            loss = cross_entropy(detector(to_tensor(np.stack(images))), torch.from_numpy(np.stack(masks)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        weights.save(folder, detector, {"generator": {"design": "detector", **arguments}})

    return make_once(tmp_path_factory, "green_detector", make)


def green_strokes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A square of a photograph with green strokes, uint8 HW3, and where they are, uint8 HW of 0 and 1."""
    top, left = rng.integers(300, size=2)
    image, mask = data.coffee()[top : top + 64, left : left + 64].copy(), np.zeros((64, 64), np.uint8)
    for _ in range(rng.integers(4)):
        first, last = (tuple(map(int, rng.integers(64, size=2))) for _ in range(2))
        cv2.line(mask, first, last, 1, int(rng.integers(1, 6)))
    image[mask > 0] = GREEN
    return image, mask


@pytest.fixture
def started(tmp_path, mlflow_db) -> Callable[..., subprocess.Popen]:
    """Starts the download stage in a folder of its own, with some of the source's parameters changed.

    Of any file it can write no more than `blocks` of 512 bytes; with so few it does without MLflow.
    """
    shutil.copy(mlflow_db, tmp_path)

    def started(source: str, blocks: int | str = "unlimited", **changes: Any) -> subprocess.Popen:
        write_params(tmp_path, source, blocks == "unlimited", **changes)
        inherited = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        return subprocess.Popen(
            ["sh", "-c", f"ulimit -f {blocks}; exec {sys.executable} -m pipeline.download"],
            cwd=tmp_path,
            env={name: value for name, value in inherited.items() if name != "DVC_ROOT"} | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return started


@pytest.fixture
def stage(started) -> Callable[..., subprocess.CompletedProcess]:
    """Runs the download stage to its end, as `started` starts it."""

    def stage(*args: Any, **kwargs: Any) -> subprocess.CompletedProcess:
        with started(*args, **kwargs) as process:
            out, err = finish(process)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return stage


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Clone:
    """A clone whose pipeline has run to its end, once. Not to be changed."""

    def make(folder: Path) -> None:
        assert Clone(folder).repro() == ["download", "corrupt", "train", "evaluate"]

    return Clone(make_once(tmp_path_factory, "undisturbed", make))


@pytest.fixture(scope="module")
def clone(undisturbed, tmp_path_factory) -> Clone:
    """A copy of the undisturbed clone, with the outs and the lock of its run, for the tests of a module."""
    folder = tmp_path_factory.mktemp("clones") / "clone"
    shutil.copytree(undisturbed.folder, folder, symlinks=True)
    return Clone(folder)


@pytest.fixture
def train_params() -> Train:
    params = load(ROOT / "params.yaml").train
    tiny = {"channels": 8, "blocks": 1, "scales": 2, "patch": 2}
    return params.model_copy(
        update={
            "init": "models/untrained",
            "steps": 6,
            "warmup": 2,
            "batch": 4,
            "crop": 16,
            "generator": params.generator.model_copy(update=tiny),
            "discriminator": params.discriminator.model_copy(update={"channels": 4}),
        }
    )


@pytest.fixture
def ten_pairs(tmp_path) -> pairs.Pairs:
    def striped_pictures():
        for number in range(10):
            waves = np.sin(np.arange(32) + number)[:, None, None] * 60 * np.ones((1, 32, 3)) + 128
            target = waves.astype(np.uint8)
            mask = np.zeros((32, 32), bool)
            mask[8:20, 6:25] = True
            corrupted = np.where(mask[..., None], 0, target).astype(np.uint8)
            encoded = [pairs.encode(picture) for picture in (target, corrupted, mask.astype(np.uint8) * 255)]
            yield pairs.Pair(number, 0, "occlusion", number, float(mask.mean()), 0.0, *encoded)

    pairs.write(tmp_path / "pairs", "train", striped_pictures())
    return pairs.Pairs(tmp_path / "pairs", "train")


def write_params(folder: Path, source: str, required: bool = True, **changes: Any) -> None:
    """The repository's params.yaml with this source, and some of the source's parameters changed.

    Args:
        folder: where to.
        source: of the photos.
        required: whether MLflow is.
        changes: of the source's parameters.
    """
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["tracking"]["required"] = required
    params["download"]["source"] = source
    params["download"][source] |= changes
    YAML(typ="safe").dump(params, folder / "params.yaml")


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of all files of a folder, by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}
