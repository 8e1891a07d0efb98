"""Restore pictures from Python: `from mendline import Restorer`. Nothing is imported before it is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.inference.detector import Detector
    from pipeline.inference.enlarger import Enlarger
    from pipeline.inference.restorer import Restorer
    from pipeline.inference.translator import Translator
    from pipeline.runtime.errors import UserError

__all__ = ["Detector", "Enlarger", "Restorer", "Translator", "UserError"]

PLACES = {
    "Detector": "pipeline.inference.detector",
    "Enlarger": "pipeline.inference.enlarger",
    "Restorer": "pipeline.inference.restorer",
    "Translator": "pipeline.inference.translator",
    "UserError": "pipeline.runtime.errors",
}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(PLACES[name]), name)
