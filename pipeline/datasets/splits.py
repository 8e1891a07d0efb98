"""Which split a photo belongs to: train, val or test."""

import hashlib

from pipeline.datasets.photos import Photo
from pipeline.runtime.errors import UserError

SPLITS = ("train", "val", "test")
SALT = b"mendline"


def assign_splits(photos: list[Photo], val: float, test: float) -> dict[str, list[Photo]]:
    """The photos of each split, in the order given.

    Args:
        photos: the photos.
        val: share of them that watch the training.
        test: share of them that are only ever evaluated on.

    Raises:
        UserError: a split has no photo.
    """
    splits: dict[str, list[Photo]] = {name: [] for name in SPLITS}
    for photo in photos:
        splits[find_split(photo, val, test)].append(photo)
    for name, members in splits.items():
        if not members:
            larger = "smaller corrupt.val and corrupt.test" if name == "train" else f"a larger corrupt.{name}"
            raise UserError(f"none of the {len(photos)} photos falls to {name}; get more photos, or set {larger}")
    return splits


def find_split(photo: Photo, val: float, test: float) -> str:
    """The split that the source fixed, else by a hash of the image id: no photo moves when others come or go."""
    if photo.split:
        return photo.split
    share = _hash_id(photo.image_id)
    return "test" if share < test else "val" if share < test + val else "train"


def _hash_id(image_id: int) -> float:
    digest = hashlib.blake2b(str(image_id).encode(), digest_size=8, key=SALT).digest()
    return int.from_bytes(digest) / 2**64
