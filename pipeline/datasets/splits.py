"""Which part of the data a photo belongs to: train, val or test."""

import hashlib

from pipeline.datasets.photos import Photo
from pipeline.runtime.errors import UserError

SPLITS = ("train", "val", "test")
SALT = b"mendline"


def assign_splits(photos: list[Photo], val: float, test: float) -> dict[str, list[Photo]]:
    """The photos of each part, in the order given.

    Args:
        photos: the photos.
        val: share of them that watch the training.
        test: share of them that are only ever evaluated on.

    Raises:
        UserError: a part has no photo.
    """
    parts: dict[str, list[Photo]] = {name: [] for name in SPLITS}
    for photo in photos:
        parts[split_of(photo, val, test)].append(photo)
    for name, members in parts.items():
        if not members:
            larger = "smaller corrupt.val and corrupt.test" if name == "train" else f"a larger corrupt.{name}"
            raise UserError(f"none of the {len(photos)} photos falls to {name}; get more photos, or set {larger}")
    return parts


def split_of(photo: Photo, val: float, test: float) -> str:
    """The part the source fixed, else by a hash of the image id: no photo moves when others come or go."""
    if photo.part:
        return photo.part
    share = _uniform(photo.image_id)
    return "test" if share < test else "val" if share < test + val else "train"


def _uniform(image_id: int) -> float:
    digest = hashlib.blake2b(str(image_id).encode(), digest_size=8, key=SALT).digest()
    return int.from_bytes(digest) / 2**64
