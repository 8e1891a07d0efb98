"""What the code of the house imports of itself, read from the source, imports inside functions included."""

import ast
from functools import cache
from pathlib import Path

from tests.clone import ROOT


@cache
def imports(module: Path) -> frozenset[str]:
    """The names that a file imports: of modules, and of what it takes out of them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{module}:{node.lineno}: a relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def files(module: Path) -> set[Path]:
    """The files of `pipeline/` that a file imports, less the packages on the way."""
    paths = {Path(*name.split(".")).with_suffix(".py") for name in imports(module)}
    return {path for path in paths if path.parts[0] == "pipeline" and (ROOT / path).exists()}


def closure(module: Path, without: tuple[str, ...] = ()) -> set[Path]:
    """All that a file runs, itself and the packages on the way included, but for what lies below `without`."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = waiting.pop()
        if path not in found and not path.as_posix().startswith(without):
            found.add(path)
            waiting += [*files(path), *(Path(parent, "__init__.py") for parent in path.parents if parent.name)]
    return found
