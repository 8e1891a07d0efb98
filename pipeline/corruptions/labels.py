"""What the pairs of a corruption are called.

A pair carries a *label*: the corruption's name and, where the picture was shrunk, `_x` and the factor, as in
`lowres_x4`, so that the tables have a row for each factor. Read without the corruptions themselves: evaluation need not
run again when one of them changes.
"""

import re

SHRUNK = r"(.+)_x(\d+)"
DAMAGE = {  # the one of `pipeline.tasks.DAMAGES` that a detector shall call it; None for either of two
    "occlusion": "cover",
    "scratch": "scratch",
    "stain": "stain",
    "freeform": "cover",
    "object": "cover",
    "dust": "fleck",
    "hair": "fleck",
    "crease": "crease",
    "text": "cover",
    "speck": "fleck",
    "dirt": "fleck",
    "mixed": None,
}
RENDERED = ("pencil", "sketch", "painting")
"""Of photos whose look a translator shall change, where a filter has made the truth."""
APART = ("folders", "categories")
"""And where there is none: the two pictures of a pair are of different photos."""


def name_of(label: str) -> str:
    """`lowres` for `lowres_x4`, `stain` for `stain`."""
    shrunk = re.fullmatch(SHRUNK, label)
    return shrunk[1] if shrunk else label


def factor_of(label: str) -> int:
    """How many times smaller the picture was made: 4 for `lowres_x4`, 1 for `stain`."""
    shrunk = re.fullmatch(SHRUNK, label)
    return int(shrunk[2]) if shrunk else 1


def has_truth(label: str) -> bool:
    """Whether the target of a val or test pair is what should come of its picture; else it is of another photo."""
    return label not in APART


def task_of(label: str) -> str:
    """The one of `pipeline.tasks` that undoes it."""
    if label in RENDERED or label in APART:
        return "translate"
    return "superres" if factor_of(label) > 1 else "restore"
