"""The download stage on bad days: whatever happens, `data/coco` ends up byte for byte as on a good one."""

import random
import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from subprocess import TimeoutExpired
from threading import Event

import pandas as pd
import pytest

from pipeline import download
from pipeline.sources.coco import retry
from tests.conftest import TRAIN, VAL, hashes, write_params
from tests.sources.coco.host import ANNOTATIONS, Host, needed

CHOICE = {"split": "both", "limit": 16}
SLACK = 1.05  # times the bytes that are needed may be sent


@pytest.fixture(scope="module")
def run(mlflow_db, tmp_path_factory) -> Callable[..., dict[str, str]]:
    """Runs the stage in this process, in some folder; returns the hashes of what it made."""
    store = shutil.copy(mlflow_db, tmp_path_factory.mktemp("runs"))

    def run(folder: Path, base_url: str | list[str]) -> dict[str, str]:
        write_params(folder, "coco", base_url=base_url, **CHOICE)
        with chdir(folder), pytest.MonkeyPatch.context() as environment:
            environment.delenv("DVC_ROOT", raising=False)
            environment.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
            download.main()
        return hashes(folder / "data/coco")

    return run


@pytest.fixture(scope="module")
def good_day(run, tmp_path_factory) -> tuple[dict[str, str], int]:
    """Hashes of what an undisturbed run makes, and the bytes that it cannot do without."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with Host() as host:
        host.serve_coco(train2017=TRAIN, val2017=VAL)
        made = run(folder, host.url)
        host.shutdown()
    least = needed(
        host.files[ANNOTATIONS], {f"annotations/instances_{split}.json" for split in ("train2017", "val2017")}
    )
    for split, lines in pd.read_csv(folder / "data/coco/manifest.csv").groupby("split"):
        least += needed(host.files[f"/zips/{split}.zip"], {f"{split}/{name}" for name in lines["file_name"]})
    return made, least


def test_a_second_run_needs_no_host(run, good_day, coco_host, tmp_path):
    run(tmp_path, coco_host.url)
    shutil.rmtree(tmp_path / "data")
    coco_host.asked.clear()
    assert run(tmp_path, coco_host.url) == good_day[0]
    assert not coco_host.asked


@pytest.mark.parametrize(
    "faults", [{"cut": 1_500}, {"cut": 19_000}, {"cut": 50_001}, {"busy": 5}, {"cut": 5_000, "busy": 5}], ids=str
)
def test_connections_that_break_and_a_busy_host_cost_no_byte_twice(run, good_day, coco_host, tmp_path, faults):
    made, least = good_day
    vars(coco_host).update(faults)
    assert run(tmp_path, coco_host.url) == made
    assert coco_host.sent <= SLACK * least


@pytest.mark.parametrize("seed", range(3))
def test_bits_that_flip_on_the_way_do_not_show(run, good_day, coco_host, tmp_path, seed):
    flips = random.Random(seed)
    coco_host.flip = lambda number, length: (
        flips.randrange(8 * length) if length > 2000 and flips.random() < 0.4 else None
    )
    assert run(tmp_path, coco_host.url) == good_day[0]


@pytest.mark.parametrize("singles", [True, False])
def test_a_host_without_ranges_serves_all_the_same(run, good_day, coco_host, tmp_path, singles):
    coco_host.ranges = False
    if not singles:
        coco_host.files = {path: content for path, content in coco_host.files.items() if path.endswith(".zip")}
    assert run(tmp_path, coco_host.url) == good_day[0]


def test_a_host_that_is_down_is_passed_over(run, good_day, coco_host, tmp_path):
    made, least = good_day
    assert run(tmp_path, ["http://127.0.0.1:1", coco_host.url]) == made
    assert coco_host.sent <= SLACK * least


@pytest.mark.parametrize("moment", range(2, 30, 7))
def test_archives_that_are_replaced_midway_do_not_mix(run, good_day, coco_host, tmp_path, moment):
    def replaced(number: int) -> None:
        if number == moment:  # by others with the same files
            coco_host.serve_coco(val2017=VAL, train2017=TRAIN, comment=b"a later version")

    coco_host.cut, coco_host.on_request = 15_000, replaced
    assert run(tmp_path, coco_host.url) == good_day[0]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 100))])
def test_a_host_of_many_faults_with_a_better_one_behind_it(run, good_day, coco_host, tmp_path, monkeypatch, seed):
    monkeypatch.setattr(retry, "PATIENCE", 2.0)
    draw = random.Random(seed)
    with Host() as first:
        first.files = dict(coco_host.files)
        first.ranges, first.tagged = draw.random() < 0.8, draw.random() < 0.8
        first.promised = draw.random() < 0.1
        first.cut = draw.choice([None, None, 700, 5_000, 40_000])
        first.busy, first.retry_after = draw.choice([0, 0, 2, 7]), draw.choice(["0", "1", "9999"])
        first.stall, first.silent = draw.choice([None, None, 3_000, 30_000]), draw.choice([None, None, 3, 12])
        first.pause = draw.choice([0, 0, 0.05])
        share = draw.choice([0, 0.1, 0.5])
        first.flip = lambda number, length: draw.randrange(8 * length) if draw.random() < share else None
        for path in draw.sample(sorted(first.files), draw.choice([0, 1, 5])):
            first.files[path] = draw.choice([first.files[path][: draw.randrange(2000)], b"", draw.randbytes(999)])
        for path in draw.sample(sorted(first.files), draw.choice([0, 1, 5])):
            del first.files[path]
        assert run(tmp_path, [first.url, coco_host.url]) == good_day[0]
        first.shutdown()


def test_a_disk_that_fills_is_one_line_and_the_next_run_goes_on(run, good_day, coco_host, tmp_path, stage):
    made, least = good_day
    coco_host.pause = 0.03  # what is under way when the run ends is lost
    done = stage("coco", blocks=30, base_url=coco_host.url, **CHOICE)
    assert done.returncode == 1
    *_, line = done.stderr.splitlines()
    assert line.endswith("2017: File too large; make room and run again, what is there stays")
    assert not (tmp_path / "data").exists()
    coco_host.pause = 0
    assert run(tmp_path, coco_host.url) == made
    assert coco_host.sent <= SLACK * least


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 20))])
def test_a_run_that_is_killed_goes_on_where_it_was(run, good_day, coco_host, tmp_path, started, seed):
    made, least = good_day
    asked = Event()
    coco_host.pause, coco_host.on_request = 0.01, lambda number: asked.set()
    with started("coco", base_url=coco_host.url, **CHOICE) as process:
        assert asked.wait(60)
        with pytest.raises(TimeoutExpired):
            process.wait(random.Random(seed).uniform(0, 0.8))
        process.kill()
    assert not (tmp_path / "data").exists()
    assert coco_host.sent < least
    coco_host.pause = 0
    assert run(tmp_path, coco_host.url) == made
    assert coco_host.sent <= SLACK * least
