"""The command `mendline`: what users type besides the stages and `mend`.

Every subcommand is a module of this room; it is imported once the command line has been read, for imports take seconds.
"""

import argparse
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.runtime import command_line
from pipeline.runtime.errors import UserError, one_line_errors


@dataclass(frozen=True)
class Command:
    """A subcommand: the module whose `main` takes its arguments, what it does, and what argparse knows of each."""

    module: str
    help: str
    arguments: dict[str, dict[str, Any]] = field(default_factory=dict)


def _profiles() -> str:
    return ", ".join(sorted(path.stem for path in Path("profiles").glob("*.yaml"))) or "there are none here"


COMMANDS = {
    "app": Command(
        "app.page",
        "open the page on which pictures are restored",
        {"--model": {"help": "a model folder or a URI of MLflow, for holes; by default the one that ships"}},
    ),
    "export": Command(
        "export",
        "write a trained network as ONNX, for programs without PyTorch; docs/restoring.md has its inputs and outputs",
        {"folder": {"type": Path, "help": "a model folder"}},
    ),
    "save": Command(
        "save",
        "save the workspace's model in models/, with all that tells where it comes from and what it is worth",
        {"name": {"help": "of the new folder in models/"}},
    ),
    "profile": Command(
        "profile",
        "lay one of the profiles over params.yaml: another task or another budget",
        {"name": {"help": f"of a file in profiles/: {_profiles()}"}},
    ),
    "join": Command(
        "join",
        "join a team by the URL of its MLflow: note how to log in, and fetch what the team has",
        {
            "url": {"help": "of the team's MLflow, http://HOST:5000"},
            "--name": {"help": "of the member; otherwise asked for"},
            "--remote": {"help": "of DVC, where it is not the server's: s3://, ssh://, webdavs://, or a shared folder"},
        },
    ),
    "share": Command("share", "send data, run-cache, experiments and rows to the team, and say what went where"),
    "member": Command(
        "member",
        "let a member into the team's server, or give one a new password; on the machine that runs it",
        {
            "name": {"help": "small letters, digits, . _ and -"},
            "--remove": {"action": "store_true", "help": "shut the member out"},
        },
    ),
    "backup": Command(
        "backup",
        "write all that the team's server has into a new folder; on the machine that runs it",
        {"folder": {"type": Path, "help": "a new one"}},
    ),
    "restore": Command(
        "restore",
        "put back what a backup holds, into a server that is up and has nothing",
        {"folder": {"type": Path, "help": "of a backup"}},
    ),
    "sync": Command("sync", "bring MLflow up to date with DVC, without running a stage"),
    "compare": Command("compare", "print the experiments side by side, as DVC and MLflow have them"),
    "fetch": Command("fetch", "fetch the networks, trained elsewhere, that judge how real a restoration looks"),
    "find": Command(
        "find_run",
        "find the MLflow run that made a model file, or that a dvc.lock belongs to",
        {"path": {"type": Path, "help": "generator.safetensors, its folder, or a dvc.lock"}},
    ),
}


def main() -> None:
    """Read the command line, then run the subcommand."""
    options = vars(command_line.read(parser()))
    command = COMMANDS[options["command"]]
    with one_line_errors():
        try:
            module = import_module(f"pipeline.commands.{command.module}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("pipeline"):
                raise
            raise UserError(f"{error.name} is not installed; in the repository: make install") from None
        module.main(*(options[name.removeprefix("--")] for name in command.arguments))


def parser() -> argparse.ArgumentParser:
    """Of the whole command line."""
    made = command_line.parser("mendline", "Train, compare and use GANs that restore pictures.")
    command_line.add_completion(made)
    subparsers = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = subparsers.add_parser(name, help=command.help, description=command.help, allow_abbrev=False)
        for argument, words in command.arguments.items():
            sub.add_argument(argument, **words)
    return made


if __name__ == "__main__":
    main()
