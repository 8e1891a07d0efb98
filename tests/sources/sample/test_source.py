import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from pipeline.datasets.instances import SPLIT_KEY
from pipeline.params import Sample
from pipeline.sources.sample import dead_leaves, source
from pipeline.sources.sample.photographs import PHOTOGRAPHS


def draw(leaves: int = 2, crops: int = 1, size: int = 32, seed: int = 0) -> tuple[dict, dict[int, bytes]]:
    ((_, dataset, photos),) = source.read(Sample(leaves=leaves, crops=crops, size=size, seed=seed))
    ids = [image["id"] for image in dataset["images"]]
    return dataset, dict(zip(ids, photos, strict=True))


@pytest.fixture(scope="module")
def small() -> tuple[dict, dict[int, bytes]]:
    return draw()


def test_every_photo_is_a_jpeg_of_the_size_its_entry_says(small):
    dataset, files = small
    assert len(files) == 2 + len(PHOTOGRAPHS)
    for image in dataset["images"]:
        with Image.open(io.BytesIO(files[image["id"]])) as picture:
            assert (picture.format, picture.size) == ("JPEG", (image["width"], image["height"]))
        assert image["file_name"] == f"{image['id']:012}.jpg"
        assert image["license"] in {entry["id"] for entry in dataset["licenses"]}


def test_leaves_train_and_each_photograph_serves_its_own_split(small):
    splits = Counter(image[SPLIT_KEY] for image in small[0]["images"])
    assert splits == Counter(photograph.split for photograph in PHOTOGRAPHS) + Counter(train=2)


def test_more_leaves_and_crops_keep_ids_and_bytes(small, monkeypatch):
    monkeypatch.setenv("MENDLINE_WORKERS", "1")
    dataset, files = small
    more, more_files = draw(leaves=3, crops=2)
    assert files.items() <= more_files.items()
    for key in ("images", "annotations"):
        assert all(entry in more[key] for entry in dataset[key])


def test_another_seed_gives_other_pictures(small):
    assert not set(small[1].values()) & set(draw(seed=1)[1].values())


def test_annotations_are_what_pycocotools_expects(small):
    dataset, _ = small
    annotations = dataset["annotations"]
    assert annotations
    assert len({annotation["id"] for annotation in annotations}) == len(annotations)
    assert {entry["name"] for entry in dataset["categories"]} == set(dead_leaves.SHAPES)
    for annotation in annotations:
        mask = coco_mask.decode(coco_mask.frPyObjects(annotation["segmentation"], 32, 32)).any(axis=2)
        assert mask.sum() == pytest.approx(annotation["area"], rel=0.35)
        left, top, width, height = annotation["bbox"]
        rows, columns = np.nonzero(mask)
        assert left - 1 <= columns.min() <= columns.max() <= left + width + 1
        assert top - 1 <= rows.min() <= rows.max() <= top + height + 1
