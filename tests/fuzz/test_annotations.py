"""Instances files with anything anywhere, through download's folder source, the silhouettes of corrupt, and mend."""

import io
import json
import resource
from collections.abc import Iterator
from contextlib import redirect_stderr
from itertools import count as numbers
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask

from pipeline.datasets import photos, silhouettes
from pipeline.inference import image_file, select_object
from pipeline.params import Folder
from pipeline.runtime.errors import UserError
from pipeline.sources import folder
from tests.fuzz import COUNTS, inputs

HEIGHT, WIDTH = 60, 80
NAMES = ["a.png", "b.png", "c/d.png"]
MEMORY = 2**32  # bytes of address space beyond what the tests have; each thread reserves some, a wild number takes more

HOSTILE = st.sampled_from(
    [
        *(-1, 0, 10**6, 4e8, -1e9, 1e300, 10**400, float("nan"), float("inf"), -float("inf")),
        *("../x.png", "/etc/passwd", "..\\x.png", "a\0.png", "\ud800", "x" * 300, "c", "PPYo0", "o" * 99),
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | HOSTILE,
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.dictionaries(st.sampled_from(["size", "counts", "id", "segmentation"]), inner, max_size=3)
    ),
    max_leaves=8,
)
ENCODINGS = st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "cut", "nested", "twice"])


def rectangle(draw: st.DrawFn) -> np.ndarray:
    left, top = draw(st.integers(0, WIDTH - 2)), draw(st.integers(0, HEIGHT - 2))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top : draw(st.integers(top + 1, HEIGHT)), left : draw(st.integers(left + 1, WIDTH))] = 1
    return mask


def segmentation(mask: np.ndarray, form: str) -> Any:
    rows, columns = np.nonzero(mask)
    left, top, right, bottom = map(int, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    if form == "polygon":
        return [[left, top, right, top, right, bottom, left, bottom]]
    if form == "text":
        return {"size": [HEIGHT, WIDTH], "counts": coco_mask.encode(np.asfortranarray(mask))["counts"].decode()}
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.flatten(order="F")])))
    return {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *edges, mask.size]).tolist()}


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, dict, dict[int, np.ndarray]]:
    """A file, what is in it, and the masks by the ids of annotations that are as they should be."""
    masks = {number: rectangle(draw) for number in range(1, draw(st.integers(2, 5)))}
    forms = st.sampled_from(["polygon", "text", "runs"])
    content: dict[str, Any] = {
        "images": [
            {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT} for number, name in enumerate(NAMES)
        ],
        "annotations": [
            {
                "id": number,
                "image_id": number % len(NAMES),
                "iscrowd": 0,
                "segmentation": segmentation(mask, draw(forms)),
            }
            for number, mask in masks.items()
        ],
        "categories": [],
    }
    good = set(masks)
    for _ in range(draw(st.integers(0, 3))):
        change(draw, content, good)
    text = json.dumps(content)
    encoding = draw(ENCODINGS)
    if encoding == "cut":
        encoded = text.encode()[: draw(st.integers(0, len(text) - 1))]
    elif encoding == "nested":
        encoded = b'{"info": ' + b"[" * 3000 + b"]" * 3000 + b", " + text.encode()[1:]
    elif encoding == "twice":
        encoded = b'{"images": [], ' + text.encode()[1:]
    else:
        encoded = text.encode(encoding)
    return encoded, content, {number: masks[number] for number in good}


def change(draw: st.DrawFn, content: dict, good: set[int]) -> None:
    """Put anything somewhere; the annotations that it concerns are good no more."""
    path, place = [], content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        path.append(draw(st.sampled_from(keys)))
        deeper = place[path[-1]]
        if not isinstance(deeper, dict | list) or not deeper or draw(st.integers(0, 3)) == 0:
            break
        place = deeper
    place[path[-1]] = draw(ANYTHING)
    match path:
        case ["images" | "annotations"] | ["images", _, *_]:
            good.clear()
        case ["annotations", int(number), *_]:
            good.discard(number + 1)


def repeated(content: dict) -> set[Any]:
    """Ids that a change has given to a second annotation."""
    entries = content["annotations"] if isinstance(content["annotations"], list) else []
    ids = [str(entry.get("id")).removesuffix(".0") for entry in entries if isinstance(entry, dict)]
    return {number for number in ids if ids.count(number) > 1}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for name in NAMES:
        (root / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(root / name)
    return root


@pytest.fixture
def bounded_memory() -> Iterator[None]:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("count", COUNTS)
def test_annotations_end_right_or_in_one_line(count, pictures, bounded_memory):
    names = numbers()
    before = image_file.read(pictures / NAMES[0])

    @inputs(count)
    @given(files())
    def check(generated):
        encoded, content, good = generated
        path = pictures / f"{next(names)}.json"
        path.write_bytes(encoded)
        try:
            good = {number: mask for number, mask in good.items() if str(number) not in repeated(content)}
            downloaded(path, good)
            for number in range(1, 6):
                mended(path, before, number, good)
        finally:
            path.unlink()

    check()


def downloaded(path: Path, good: dict[int, np.ndarray]) -> None:
    """Good annotations are in the store, all of the store can be cut out, and what is not in it is said."""
    said = io.StringIO()
    with TemporaryDirectory() as store, redirect_stderr(said):
        try:
            ((name, dataset, contents),) = folder.read(Folder(path=str(path.parent), annotations=path.name))
        except UserError as error:
            assert "\n" not in str(error)
            return
        photos.write(Path(store), name, dataset, contents).to_csv(Path(store, "manifest.csv"), index=False)
        assert len(photos.index(Path(store))) == len(dataset["images"]) > 0
        found = silhouettes.read(Path(store))
    assert {annotation["id"] for annotation in dataset["annotations"]} >= set(good)
    areas = sorted(silhouette.area for some in found.values() for silhouette in some)
    for mask in good.values():
        assert mask.sum() < silhouettes.SMALLEST or mask.sum() in areas
    lines = said.getvalue().splitlines()
    assert all(line.startswith("note: ") and len(line) < 1000 for line in lines) and len(lines) < 9
    listed = json.loads(path.read_bytes()).get("annotations")
    if isinstance(listed, list) and len(listed) > len(dataset["annotations"]):
        assert any(f"{len(listed)} annotations: " in line for line in lines)


def mended(path: Path, before: image_file.Picture, number: int, good: dict[int, np.ndarray]) -> None:
    """A good annotation of this picture gives its mask with a rim, one of another picture none."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            hole = select_object.of_annotation(path, number, before, path.parent / NAMES[0])
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert hole.shape == (HEIGHT, WIDTH) and hole.any()
    if number in good:
        assert number % len(NAMES) == 0
        assert np.array_equal(hole, select_object.with_rim(good[number].astype(bool)))
