"""Segmentations as COCO has them: polygons `[[x, y, x, y, ...], ...]`, or run lengths `{"size", "counts"}`.

pycocotools trusts every number in them: a coordinate of 1e9 takes all memory, and run lengths that are too long are
written beyond the mask. So each is checked before pycocotools sees it.
"""

import math
from typing import Any

from pycocotools import mask as coco_mask

from pipeline.runtime.errors import excerpt

MOST_PIXELS = 2**28  # of a photo; above what Pillow reads, and far below the 2^32 of pycocotools' counters
MOST_POLYGONS = 10_000  # each is merged with all before it
LONGEST = 1_000_000  # px: all outlines of an instance; pycocotools takes about 100 bytes for each
SHORTEST = 6  # numbers: three points


def find_fault(segmentation: Any, height: int, width: int) -> str:
    """Why a segmentation is no outline in a photo of this height and width in px; empty where it is one.

    Tools draw a little beyond the edge: a coordinate may be -s to 2 s, where s is the photo's longer side.
    """
    if height * width > MOST_PIXELS:
        return f"its photo has {width} x {height} px; the limit is {MOST_PIXELS} px"
    if not segmentation:
        return "it has no segmentation"
    try:
        if isinstance(segmentation, dict):
            _check_runs(segmentation, height, width)
        elif isinstance(segmentation, list):
            _check_polygons(segmentation, height, width)
        else:
            return f"its segmentation is {excerpt(segmentation)}; expected polygons or run lengths"
    except ValueError as error:
        return str(error)
    return ""


def run_lengths(segmentation: Any, height: int, width: int) -> dict[str, Any]:
    """The mask of a segmentation, as pycocotools' compressed run lengths.

    Raises:
        ValueError: what `find_fault` says.
    """
    if reason := find_fault(segmentation, height, width):
        raise ValueError(reason)
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    rle = {"size": [height, width], "counts": segmentation["counts"]}
    return rle if isinstance(rle["counts"], str) else coco_mask.frPyObjects(rle, height, width)


def _check_polygons(polygons: list, height: int, width: int) -> None:
    if len(polygons) > MOST_POLYGONS:
        raise ValueError(f"it has {len(polygons)} polygons; the limit is {MOST_POLYGONS}")
    far = max(height, width)
    for polygon in polygons:
        if not isinstance(polygon, list):
            raise ValueError(f"a polygon is {excerpt(polygon)}; expected a list of x, y, x, y, ...")
        if not {*map(type, polygon)} <= {int, float}:
            odd = next(number for number in polygon if type(number) not in {int, float})
            raise ValueError(f"a coordinate is {excerpt(odd)}; expected a number")
        if len(polygon) < SHORTEST or len(polygon) % 2:
            raise ValueError(f"a polygon has {len(polygon)} numbers; expected x and y of three points or more")
        if not (-far <= min(polygon) and max(polygon) <= 2 * far) or math.isnan(sum(polygon)):
            odd = next(number for number in polygon if not -far <= number <= 2 * far)
            raise ValueError(f"a coordinate is {excerpt(odd)}, far outside a photo of {width} x {height} px")
    # what the outlines can be at most spares most of them the measuring
    most = 3 * far * sum(map(len, polygons))
    if most > LONGEST and (length := sum(map(_measure, polygons))) > LONGEST:
        raise ValueError(f"its outlines are {length:.0f} px long; the limit is {LONGEST} px")


def _measure(polygon: list[float]) -> float:
    """The longer of the steps in x and y, summed over the edges: pycocotools takes memory by it."""
    steps = (
        [abs(after - before) for before, after in zip(numbers, numbers[1:] + numbers[:1], strict=True)]
        for numbers in (polygon[::2], polygon[1::2])
    )
    return sum(map(max, *steps))


def _check_runs(rle: dict[str, Any], height: int, width: int) -> None:
    size, counts, pixels = rle.get("size"), rle.get("counts"), height * width
    if size != [height, width]:
        raise ValueError(f"its run lengths have the size {excerpt(size)}; expected [{height}, {width}], as its photo")
    runs = _decompress(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list):
        raise ValueError(f"its counts are {excerpt(counts)}; expected a list or a text")
    for run in runs:
        if type(run) not in {int, float} or not 0 <= run <= pixels or run != int(run):
            raise ValueError(f"a run length is {excerpt(run)}; expected 0 to {pixels}, the pixels of its photo")
    if sum(runs) != pixels:
        raise ValueError(f"its run lengths sum to {sum(runs)}; expected {pixels}, the pixels of its photo")


def _decompress(counts: str) -> list[int]:
    """The run lengths in a text: five bits a character, from the third on less the run before last.

    After `rleFrString` of https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError(f"its counts hold {excerpt(character)} out of place; expected pycocotools' text")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (bits & 16) << shift - 4
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("its counts are cut off; expected pycocotools' text")
    return runs
