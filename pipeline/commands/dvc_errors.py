"""What DVC refuses, in one line with a remedy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from dvc.exceptions import DvcException

from pipeline.runtime.errors import UserError

REMEDIES = {  # what the text of an error holds, and what to do
    r"not inside of a DVC|SCM error|not a git|unknown Git revision": "run this in the repository's top folder",
    r"YAML|validation failed": "git checkout that file, then run dvc repro",
    r"[Uu]nable to acquire lock|locked": "wait for the other dvc, or end it",
}


@contextmanager
def dvc_errors() -> Iterator[None]:
    """Turn what DVC raises into a `UserError`."""
    try:
        yield
    except DvcException as error:
        what = str(error).strip().splitlines()[0]
        remedy = next((remedy for sign, remedy in REMEDIES.items() if re.search(sign, str(error))), "see dvc status")
        raise UserError(f"DVC: {what}; {remedy}") from None
