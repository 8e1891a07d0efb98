"""Errors a user can cause: one line that says what, where and what to do."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from reprlib import Repr
from unicodedata import category

MEMORY = (
    "not enough memory; end other programs, or do less at once: a smaller train.batch, corrupt.image_size, "
    "MENDLINE_WORKERS or picture"
)
CLOSED = "the program that reads stdout has ended, and so does this one; let it read to the end"
REMEDIES = {  # by what the file system says
    errno.ENOENT: "check the path",
    errno.EEXIST: "remove it, or give another name",
    errno.EISDIR: "expected a file, and it is a folder",
    errno.ENOTDIR: "give another path (one of its folders is a file)",
    errno.EACCES: "change its permissions",
    errno.EPERM: "change its permissions",
    errno.EROFS: "its disk is read-only; use another",
    errno.ENOSPC: "make room and run again",
    errno.EDQUOT: "make room and run again",
    errno.EFBIG: "make room and run again",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "mend its links, one leads back to itself",
    errno.EIO: "its disk fails; use another",
}

LONGEST = 500  # characters of a line of ours
ESCAPED = {"Cc", "Cs", "Zl", "Zp"}  # Unicode's categories: control, surrogate, line and paragraph separator

_short = Repr()
_short.maxlevel, _short.maxlist, _short.maxdict, _short.maxtuple, _short.maxset = 2, 8, 3, 4, 4
_short.maxstring = _short.maxother = 80  # characters


class UserError(Exception):
    """Something the user can mend. Its text is one line: what is wrong, where, what to do."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an error that a user can mend into one line on stderr and exit code 1; Ctrl-C into 130.

    What stdout cannot show, in ASCII for instance, it shows escaped. A closed stderr leads nowhere.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stderr is None:  # print would take stdout for it, and the next file opened its number
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    try:
        with _written_to_the_end():
            yield
    except KeyboardInterrupt:
        print("error: stopped by SIGINT; run the same command again", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        line = explain(error)
        if not line:
            raise
        sys.exit(f"error: {shorten(line, LONGEST)}")
    finally:
        _drop_what_nobody_reads()


def explain(error: Exception) -> str:
    """What a user can make of an error; nothing where it is a fault of the program."""
    line = ""
    match error:
        case UserError():
            line = str(error)
        case BrokenPipeError() if not error.filename:
            line = CLOSED
        case OSError():
            line = explain_os_error(error)
        case UnicodeEncodeError() | UnicodeDecodeError():
            line = f"{excerpt(error.object)}: not {error.encoding}; rename it, or save it as {error.encoding}"
        case MemoryError():
            line = MEMORY
        case RecursionError():
            line = "what was read is nested too deeply; check params.yaml and the annotations"
        case RuntimeError() if "out of memory" in str(error) or "allocate memory" in str(error):  # PyTorch's
            line = MEMORY
    return line


def explain_os_error(error: OSError, where: object = None) -> str:
    """What the file system says, of which file or of `where`, and what helps."""
    place = where or error.filename
    what = error.strerror or str(error) or type(error).__name__
    remedy = REMEDIES.get(error.errno or 0, "")
    return f"{f'{place}: ' if place else ''}{what}{remedy and '; '}{remedy}"


def one_line(text: str) -> str:
    """The text with line ends, control characters and what UTF-8 cannot hold escaped, as Python writes them."""
    return "".join(repr(letter)[1:-1] if category(letter) in ESCAPED else letter for letter in text)


def shorten(text: str, most: int = 150) -> str:
    """The text on one line, its middle left out where it is long: what to do comes last."""
    line = one_line(text)
    return line if len(line) <= most else f"{line[: most * 2 // 3]}...{line[-most // 3 :]}"


def excerpt(value: object) -> str:
    """A value as Python writes it, its middle left out where it is long."""
    try:
        return _short.repr(value)
    except ValueError:  # Python refuses to write an int of more than 4,300 digits
        return "a number of thousands of digits"


def write_stdout(content: bytes = b"") -> None:
    """Write the content, if any, and what print has left in the buffer.

    Raises:
        UserError: it cannot be written.
    """
    try:
        if content:
            sys.stdout.buffer.write(content)
        print(end="", flush=True)
    except BrokenPipeError:
        raise UserError(CLOSED) from None
    except OSError as error:
        raise UserError(explain_os_error(error, "stdout")) from None


@contextmanager
def _written_to_the_end() -> Iterator[None]:
    """A closed pipe or a full disk shows here, after `--help` too, and not when Python ends."""
    try:
        yield
    except SystemExit as end:
        if not end.code:
            write_stdout()
        raise
    write_stdout()


def _drop_what_nobody_reads() -> None:
    """Python would complain at its end that it cannot be written."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
