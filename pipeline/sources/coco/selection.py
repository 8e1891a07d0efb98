"""Which photos of MS-COCO are taken."""

import hashlib
from difflib import get_close_matches

from pipeline.datasets import instances
from pipeline.datasets.instances import Entry
from pipeline.params import Coco
from pipeline.runtime.errors import UserError, excerpt


def choose(coco: Coco, datasets: dict[str, Entry]) -> dict[str, Entry]:
    """Cut COCO instances dictionaries, by COCO's own split, to the photos that the parameters ask for.

    A photo is taken when it shows any of the categories, has any of the licenses, and its shorter side has `min_size`
    pixels. Of more than `limit`, those with the lowest hash of their id are: a larger limit adds to a smaller one's
    photos.

    Raises:
        UserError: a category that the dictionaries do not know or no photo shows, or no photo is left.
    """
    images = [image for dataset in datasets.values() for image in dataset["images"]]
    if coco.categories:
        showing = set().union(*(_find_showing(category, datasets) for category in coco.categories))
        images = [image for image in images if image["id"] in showing]
    if coco.licenses:
        images = [image for image in images if image["license"] in coco.licenses]
    images = [image for image in images if min(image["width"], image["height"]) >= coco.min_size]
    if not images:
        asked = {"categories": coco.categories, "licenses": coco.licenses, "min_size": coco.min_size}
        choice = ", ".join(f"{name} {value}" for name, value in asked.items() if value)
        raise UserError(f"download.coco: no photo of {coco.split} has all of: {choice}; ask for less")
    ids = sorted((image["id"] for image in images), key=_hash)
    chosen = set(ids[: coco.limit or None])
    cut = {name: instances.select_images(dataset, chosen) for name, dataset in datasets.items()}
    return {name: dataset for name, dataset in cut.items() if dataset["images"]}


def _find_showing(category: str, datasets: dict[str, Entry]) -> set[int]:
    """Ids of the images with an annotation of this category."""
    known = {entry["name"] for dataset in datasets.values() for entry in dataset["categories"]}
    if category not in known:
        nearest = get_close_matches(category.lower(), known, n=1, cutoff=0)
        hint = f"did you mean {excerpt(nearest[0])}?" if nearest else "the annotations have none"
        raise UserError(f"download.coco.categories: no category {excerpt(category)}; {hint}")
    images: set[int] = set()
    for dataset in datasets.values():
        ids = {entry["id"] for entry in dataset["categories"] if entry["name"] == category}
        images |= {entry["image_id"] for entry in dataset["annotations"] if entry["category_id"] in ids}
    if not images:
        raise UserError(
            f"download.coco.categories: no photo of {', '.join(datasets)} shows a {excerpt(category)}; remove it"
        )
    return images


def _hash(image_id: int) -> bytes:
    return hashlib.sha256(f"limit {image_id}".encode()).digest()
