"""The embedded sample: dead-leaves pictures and crops of freely licensed photographs; nothing is downloaded."""

import io
from collections.abc import Iterator
from functools import partial

import numpy as np
from PIL import Image

from pipeline.datasets.instances import SPLIT_KEY, Entry
from pipeline.params import Sample
from pipeline.runtime import progress
from pipeline.runtime.parallel import in_processes
from pipeline.sources.sample import dead_leaves, photographs

# Ids leave room for the most leaves and crops that the parameters allow, so that more of them move none.
FIRST_CROP = 1_000_000
CROPS = 1000
APACHE = 5
LICENSES = [
    *photographs.LICENSES,
    {"id": APACHE, "name": "Apache License 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
]
DEAD_LEAVES = "https://doi.org/10.1023/A:1011109015675"  # the paper that `leaves` draws after
QUALITY = 95  # of the JPEG files, on Pillow's scale


def read(sample: Sample) -> Iterator[tuple[str, Entry, Iterator[bytes]]]:
    """The name `sample`, the COCO instances dictionary, and the photos in that order; once.

    The annotations join the dictionary as the photos are drawn: it is complete once the last photo is taken.
    """
    images = [_describe_leaves(number, sample) for number in range(sample.leaves)]
    for place, photograph in enumerate(photographs.PHOTOGRAPHS):
        images += [_describe_crop(place, photograph, index, sample) for index in range(sample.crops)]
    dataset: Entry = {
        "info": {"description": "Dead leaves and crops of freely licensed photographs", "year": 2026},
        "licenses": LICENSES,
        "images": images,
        "annotations": [],
        "categories": [
            {"id": number, "name": shape, "supercategory": "leaf"} for number, shape in enumerate(dead_leaves.SHAPES, 1)
        ],
    }
    yield "sample", dataset, _draw_photos(sample, dataset)


def _draw_photos(sample: Sample, dataset: Entry) -> Iterator[bytes]:
    ids = [image["id"] for image in dataset["images"]]
    pictures = in_processes(partial(_draw_picture, sample), ids)
    for content, annotations in progress.bar(pictures, "drawing", len(ids), "photo"):
        dataset["annotations"] += annotations
        yield content


def _describe_leaves(number: int, sample: Sample) -> Entry:
    return _describe(number + 1, sample.size, "train", APACHE, DEAD_LEAVES)


def _describe_crop(place: int, photograph: photographs.Photograph, index: int, sample: Sample) -> Entry:
    left, _, right, _ = photographs.box(photograph, index, sample.size, sample.seed)
    side = min(right - left, sample.size)
    return _describe(FIRST_CROP + place * CROPS + index, side, photograph.split, photograph.license, photograph.url)


def _describe(image_id: int, side: int, split: str, license_: int, url: str) -> Entry:
    return {
        "id": image_id,
        "file_name": f"{image_id:012}.jpg",
        "width": side,
        "height": side,
        "license": license_,
        "coco_url": url,
        SPLIT_KEY: split,
    }


def _draw_picture(sample: Sample, image_id: int) -> tuple[bytes, list[Entry]]:
    """Draw a picture, or cut it out: its file and its annotations."""
    if image_id < FIRST_CROP:
        rng = np.random.default_rng([sample.seed, image_id])
        drawn, instances = dead_leaves.draw(sample.size, photographs.palette(rng), rng)
        annotations = [_annotate(image_id, number, instance) for number, instance in enumerate(instances)]
        return _encode(Image.fromarray(drawn)), annotations
    place, index = divmod(image_id - FIRST_CROP, CROPS)
    photograph = photographs.PHOTOGRAPHS[place]
    box = photographs.box(photograph, index, sample.size, sample.seed)
    return _encode(photographs.crop(photograph, box, sample.size)), []


def _annotate(image_id: int, number: int, instance: dead_leaves.Instance) -> Entry:
    left, top = np.min([outline.min(axis=0) for outline in instance.outlines], axis=0)
    right, bottom = np.max([outline.max(axis=0) for outline in instance.outlines], axis=0)
    return {
        "id": image_id * dead_leaves.INSTANCES + number,
        "image_id": image_id,
        "category_id": dead_leaves.SHAPES.index(instance.shape) + 1,
        "segmentation": [outline.ravel().tolist() for outline in instance.outlines],
        "area": instance.area,
        "bbox": [float(left), float(top), float(right - left), float(bottom - top)],
        "iscrowd": 0,
    }


def _encode(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
