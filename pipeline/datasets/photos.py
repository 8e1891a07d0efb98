"""The photo store `data/coco`: what download writes and corrupt reads.

`<name>-NNNNN.zip` are stored zips of at most 1 GiB with members `<name>/<file name>`, the photos' own bytes;
`annotations/instances_<name>.json` is what pycocotools reads; `manifest.csv` has one line a photo. The name is COCO's,
such as `val2017`, or that of the source. The manifest calls it `split`, as COCO does; but which photos are for
training, validation or test is another matter, and decided by `splits`.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.datasets import instances
from pipeline.images.decode import decode
from pipeline.runtime.environment import workers
from pipeline.runtime.errors import UserError
from pipeline.runtime.parallel import in_threads

SHARD_BYTES = 2**30
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same bytes whenever they are written


@dataclass(frozen=True)
class Photo:
    """A photo in the store.

    `split` is train, val or test where the source fixes it (the embedded sample does), else None: then the hash of
    the image id decides.
    """

    image_id: int
    archive: str
    member: str
    split: str | None


def write(folder: Path, name: str, dataset: dict[str, Any], photos: Iterable[bytes]) -> pd.DataFrame:
    """Write the photos of one name: their archives and their annotations.

    Args:
        folder: the store.
        name: of the archives and of their only folder, such as `val2017`.
        dataset: a COCO instances dictionary. Each of its `images` has `id`, `file_name`, `license`, `width`,
            `height` and `coco_url`; `instances.SPLIT_KEY` is optional.
        photos: the files' bytes, in the order of `dataset["images"]`.

    Returns:
        Their lines of the manifest: image_id, split, file_name, archive, width, height, license (its name),
        license_url, source_url, bytes, sha256.
    """
    licenses = {entry["id"]: entry for entry in dataset["licenses"]}
    lines: list[dict[str, Any]] = []
    archive: zipfile.ZipFile | None = None
    filled = 0
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as last:
        hashed = in_threads(_hash, photos, workers())
        for image, (content, digest) in zip(dataset["images"], hashed, strict=True):
            if archive is None or filled + len(content) > SHARD_BYTES:
                last.close()
                number = len({line["archive"] for line in lines})
                archive, filled = last.enter_context(zipfile.ZipFile(folder / f"{name}-{number:05}.zip", "w")), 0
            archive.writestr(zipfile.ZipInfo(f"{name}/{image['file_name']}", ZIP_EPOCH), content)
            filled += len(content)
            license_ = licenses[image["license"]]
            lines.append(
                {
                    "image_id": image["id"],
                    "split": name,
                    "file_name": image["file_name"],
                    "archive": Path(str(archive.filename)).name,
                    "width": image["width"],
                    "height": image["height"],
                    "license": license_["name"],
                    "license_url": license_["url"],
                    "source_url": image["coco_url"],
                    "bytes": len(content),
                    "sha256": digest,
                }
            )
    annotations = folder / "annotations" / f"instances_{name}.json"
    annotations.parent.mkdir(exist_ok=True)
    annotations.write_text(json.dumps(dataset))
    return pd.DataFrame(lines)


def _hash(content: bytes) -> tuple[bytes, str]:
    return content, hashlib.sha256(content).hexdigest()


def index(folder: Path) -> list[Photo]:
    """All photos of the store, by image id.

    Raises:
        UserError: the store is not there.
    """
    try:
        texts = {"split": str, "file_name": str, "archive": str}  # a file may be named 7, or NA
        manifest = pd.read_csv(folder / "manifest.csv", dtype=texts, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{folder}: no photos; run the download stage first (dvc repro download)") from None
    splits = {
        image["id"]: image.get(instances.SPLIT_KEY)
        for path in instances.list_files(folder)
        for image in json.loads(path.read_text())["images"]
    }
    return [
        Photo(row.image_id, row.archive, f"{row.split}/{row.file_name}", splits[row.image_id])
        for row in manifest.sort_values("image_id").itertuples()
    ]


def digests(folder: Path) -> dict[int, str]:
    """The SHA-256 of each photo's bytes, by image id."""
    manifest = pd.read_csv(folder / "manifest.csv", usecols=["image_id", "sha256"])
    return dict(zip(manifest.image_id.tolist(), manifest.sha256, strict=True))


def read(folder: Path, photo: Photo) -> np.ndarray:
    """The photo's pixels: uint8 RGB HWC.

    Raises:
        UserError: as `decode` does, or the archive is damaged.
    """
    archive = folder / photo.archive
    try:
        content = _archive(archive).read(photo.member)
    except zipfile.BadZipFile as error:
        raise UserError(f"{archive}: damaged ({error}); make it again (dvc repro -f download)") from None
    return decode(content, f"{archive}: {photo.member}")


@lru_cache(maxsize=8)
def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)
