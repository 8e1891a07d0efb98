"""How far a stage is."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def bar(items: Iterable | None, name: str, total: int, unit: str) -> Any:
    """A progress bar over `items`, or one to update by hand; in a log file it is written every half minute only."""
    seconds = 0.1 if sys.stderr.isatty() else 30
    return tqdm(items, name, total, unit=unit, mininterval=seconds, delay=seconds, dynamic_ncols=True)
