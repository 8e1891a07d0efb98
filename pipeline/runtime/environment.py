"""The environment variables `MENDLINE_*`: where the work is done and by how many. None of them changes an out."""

import os
import platform
from importlib import metadata

from pipeline.runtime.errors import UserError, excerpt

MOST = 1024  # processes that one may ask for
DECIDING = ("numpy", "opencv-contrib-python-headless", "pillow", "pyarrow", "scikit-image", "scipy", "torch")


def cache_folder() -> str:
    """`MENDLINE_CACHE`, below the repository or absolute: what downloads keep between runs; else `.cache`."""
    return os.environ.get("MENDLINE_CACHE") or ".cache"


def workers() -> int:
    """`MENDLINE_WORKERS`, else the number of cores.

    Raises:
        UserError: the variable is not such a number.
    """
    cores = getattr(os, "process_cpu_count", os.cpu_count)() or 1  # the first is new in Python 3.13
    return _number("MENDLINE_WORKERS", cores)


def processes() -> int:
    """`MENDLINE_PROCESSES` that train, else 1.

    Raises:
        UserError: the variable is not such a number.
    """
    return _number("MENDLINE_PROCESSES", 1)


def device() -> str:
    """`MENDLINE_DEVICE`, as `networks.device` resolves it; empty where any will do."""
    return os.environ.get("MENDLINE_DEVICE", "")


def scheduler() -> str:
    """`MENDLINE_SCHEDULER`, the address of a Dask scheduler; empty where the work is done on this machine.

    Raises:
        UserError: the variable is not such an address.
    """
    address = os.environ.get("MENDLINE_SCHEDULER", "")
    if address and not address.startswith(("tcp://", "tls://")):
        raise UserError(f"MENDLINE_SCHEDULER is {excerpt(address)}; expected an address such as tcp://host:8786")
    return address


def versions() -> dict[str, str]:
    """The versions of Python and of the packages whose arithmetic is in the outs."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python} | {name: metadata.version(name) for name in DECIDING}


def _number(variable: str, otherwise: int) -> int:
    asked = os.environ.get(variable) or str(otherwise)
    if not (asked.isdecimal() and len(asked) <= len(str(MOST)) and 1 <= int(asked) <= MOST):
        raise UserError(f"{variable} is {excerpt(asked)}; expected a number of processes, 1 to {MOST}")
    return int(asked)
