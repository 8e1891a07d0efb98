"""The command lines of stages, commands and benchmarks, read before the imports, which take seconds."""

import argparse
import tomllib
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from pipeline.runtime.errors import UserError, one_line_errors, shorten

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


class Parser(argparse.ArgumentParser):
    """One whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise `UserError`."""
        raise UserError(f"{shorten(message, 300)}; see {self.prog} --help")


def parser(program: str, doc: str | None) -> Parser:
    """One with `--help`, which begins with `doc`, and `--version`."""
    made = Parser(program, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    made.add_argument("--version", action="version", version=f"mendline {version()}")
    return made


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Give it `--print-completion`, which prints a shell's completion script."""
    import shtab

    shtab.add_argument_to(parser, "--print-completion", help="print a completion script for this shell")


def read(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options; where they are wrong, or help was asked for, the program ends here."""
    with one_line_errors():
        return parser.parse_args()


def read_stage(name: str, doc: str | None) -> None:
    """Of a stage, which has no options of its own."""
    made = parser(f"python -m pipeline.{name}", doc)
    made.epilog = f"Its parameters are in params.yaml; dvc repro {name} runs it with what it depends on."
    read(made)


def version() -> str:
    """Of Mendline, as it is installed; else of this copy."""
    try:
        return metadata.version("mendline")
    except metadata.PackageNotFoundError:
        return tomllib.loads(PYPROJECT.read_text())["project"]["version"]
