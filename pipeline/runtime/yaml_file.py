"""YAML from files that nobody vouches for: read, or refused as one line that says where it is wrong."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner, ScannerError

from pipeline.runtime.errors import UserError, excerpt, explain_os_error, shorten

MOST_ALIASES = 20  # in a file: aliases of aliases grow without bound
MOST_NESTED = 20  # brackets within brackets
SLIPS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError)  # ruamel.yaml's own


def read(path: Path) -> Any:
    """What is in the file.

    Raises:
        UserError: it cannot be read, or is not YAML.
    """
    try:
        return parse(path.read_bytes(), path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run in the top folder of the repository") from None
    except OSError as error:
        raise UserError(explain_os_error(error, path)) from None


def parse(text: bytes, path: Path) -> Any:
    """What is in the text of the file.

    Raises:
        UserError: it is not YAML.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner, yaml.Constructor, yaml.max_depth = _Scanner, _Constructor, MOST_NESTED
    try:
        if b"&" in text and sum(isinstance(event, AliasEvent) for event in yaml.parse(text)) > MOST_ALIASES:
            raise UserError(f"{path}: more than {MOST_ALIASES} aliases (*name); write the values themselves")
        return yaml.load(text)
    except MaxDepthExceededError:
        raise UserError(f"{path}: nested more than {MOST_NESTED} deep; take it from git again") from None
    except ReaderError as error:
        raise UserError(f"{path}: not text at position {error.position}: {error.reason}; save it as UTF-8") from None
    except (YAMLError, *SLIPS) as error:
        raise UserError(f"{path}: not YAML: {_fault(error)}; mend it (some text needs quotes)") from None


class _Scanner(Scanner):
    """One that says where an escape or a version is out of bounds: `"\\U00110000"`."""

    def fetch_more_tokens(self) -> Any:
        try:
            return super().fetch_more_tokens()
        except SLIPS as error:
            what = f"no such character or version ({error})"
            raise ScannerError(None, None, what, self.reader.get_mark()) from error


class _Constructor(SafeConstructor):
    """One that says where a scalar is not what its tag or its form says: `!!int x`, or the 31st of February."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except SLIPS as error:
            what = node.tag.rpartition(":")[2]
            raise ConstructorError(None, None, f"{excerpt(node.value)} is no {what}", node.start_mark) from error


def _fault(error: Exception) -> str:
    if not isinstance(error, MarkedYAMLError) or not error.problem_mark:
        return shorten(" ".join(str(error).split()) or "a value is not what its tag says")
    line, column = error.problem_mark.line + 1, error.problem_mark.column + 1
    return f"line {line}, column {column}: {shorten(' '.join(filter(None, (error.context, error.problem))))}"
