"""The command line of `python -m pipeline.<name>` and of a benchmark, read before the imports, which take seconds."""

import argparse
import tomllib
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from pipeline.runtime.errors import UserError, one_line_errors, shortened

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


class Parser(argparse.ArgumentParser):
    """One whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise `UserError`."""
        raise UserError(f"{shortened(message, 300)}; see {self.prog} --help")


def parser(name: str, doc: str | None, package: str = "pipeline") -> Parser:
    """One for `python -m <package>.<name>`, with `--help`, which is the module's docstring, and `--version`."""
    made = Parser(
        f"python -m {package}.{name}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=f"mendline {version()}")
    return made


def read(parser: Parser) -> argparse.Namespace:
    """The options; where they are wrong, or help was asked for, the program ends here."""
    with one_line_errors():
        return parser.parse_args()


def read_stage(name: str, doc: str | None) -> None:
    """Of a stage, which has no options of its own."""
    made = parser(name, doc)
    made.epilog = f"Its parameters are in params.yaml; dvc repro {name} runs it with what it depends on."
    read(made)


def version() -> str:
    """Of Mendline, as it is installed; else of this copy."""
    try:
        return metadata.version("mendline")
    except metadata.PackageNotFoundError:
        return tomllib.loads(PYPROJECT.read_text())["project"]["version"]
