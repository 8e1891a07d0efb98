"""Errors a user can cause: one line that says what, where and what to do."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something the user can mend. Its text is one line: what is wrong, where, what to do."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a `UserError`, or an error of the file system, into one line on stderr and exit code 1."""
    try:
        yield
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        sys.exit(f"error: {error.strerror or error}{where}")
