"""How far a stage is."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

LINE = "{desc}: {percentage:3.0f}%, {n_fmt} of {total_fmt} in {elapsed}, {remaining} left, {rate_fmt}{postfix}\n"


def bar(items: Iterable | None, name: str, total: int | None, unit: str) -> Any:
    """A progress bar over `items`, or one to update by hand; in a log file, a line every half minute instead."""
    scaled = unit == "B"
    if sys.stderr.isatty():
        return tqdm(items, name, total, unit=unit, unit_scale=scaled, delay=0.1, dynamic_ncols=True)
    return tqdm(
        items,
        name,
        total,
        unit=unit,
        unit_scale=scaled,
        file=_Lines(),
        mininterval=30,
        maxinterval=30,
        delay=30,
        bar_format=LINE if total else None,
    )


class _Lines:
    """stderr for a log: whole lines, without the carriage returns that redraw a bar on a terminal."""

    def write(self, text: str) -> None:
        sys.stderr.write(text.replace("\r", ""))

    def flush(self) -> None:
        sys.stderr.flush()
