from collections.abc import Callable

import pytest

from pipeline.params import Coco
from pipeline.sources.coco import source

Splits = dict[str, tuple[dict, list[bytes]]]


@pytest.fixture
def read(coco_host, tmp_path) -> Callable[..., Splits]:
    """Reads MS-COCO from the tiny host, or `base_url`, into one cache: annotations and photos by split."""

    def read(cache: str = "cache", **wishes) -> Splits:
        defaults = {"base_url": coco_host.url, "split": "both", "limit": 0, "categories": [], "licenses": []}
        splits = source.read(Coco(**(defaults | {"min_size": 0} | wishes)), tmp_path / cache)
        return {name: (dataset, list(photos)) for name, dataset, photos in splits}

    return read
