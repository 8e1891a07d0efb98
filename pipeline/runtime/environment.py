"""The environment variables `MENDLINE_*`: where the work is done and by how many. None of them changes an out.

They, and those that lead to the team's server, may stand in the file `.env` of the repository, which git ignores.
"""

import os
import platform
from importlib import metadata
from pathlib import Path

from pipeline.runtime.errors import UserError, excerpt

MOST = 1024  # processes that one may ask for
DECIDING = ("numpy", "opencv-contrib-python-headless", "pillow", "pyarrow", "scikit-image", "scipy", "torch")
ENV = ".env"
READ = ("MENDLINE_", "MLFLOW_", "TEAM_")  # how the names begin that are read from there


def env_file() -> Path:
    """`.env` of the main checkout, also where DVC runs an experiment in a temporary one."""
    return Path(os.environ.get("DVC_ROOT", "."), ENV)


def read_env_file() -> None:
    """Set the variables that `.env` has and the environment has not.

    Raises:
        UserError: it is not UTF-8.
    """
    for name, value in _noted().items():
        if name.startswith(READ) and value:
            os.environ.setdefault(name, value)


def noted(name: str) -> str:
    """The value of a variable in `.env`; empty where it has none.

    Raises:
        UserError: it is not UTF-8.
    """
    return _noted().get(name) or ""


def _noted() -> dict[str, str | None]:
    if not env_file().is_file():
        return {}
    from dotenv import dotenv_values

    try:
        return dotenv_values(env_file(), interpolate=False)
    except UnicodeDecodeError:
        raise UserError(f"{env_file()}: not text; save it as UTF-8, or remove it and make join again") from None


def write_env_file(values: dict[str, str]) -> None:
    """Set these variables from now on, here and in `.env`, which nobody else may read.

    Raises:
        UserError: a value has a line end.
    """
    from dotenv import set_key

    if broken := [name for name, value in values.items() if not value.isprintable()]:
        raise UserError(f"{broken[0]}: has a line end or another character that {ENV} cannot hold; give another")
    env_file().touch(mode=0o600)
    env_file().chmod(0o600)
    for name, value in values.items():
        set_key(env_file(), name, value)
    os.environ.update(values)


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
