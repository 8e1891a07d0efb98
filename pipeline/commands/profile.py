"""Lay one of the profiles over `params.yaml`: the few parameters that make it another task or another budget.

mendline profile coco-cpu

All profiles set the same parameters, so one replaces another; what none of them sets stays as it is.
"""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline import lineage
from pipeline.params import check, load
from pipeline.runtime.errors import UserError, excerpt
from pipeline.runtime.yaml_file import read

PROFILES = Path("profiles")
PARAMS = Path("params.yaml")


def main(name: str) -> None:
    """Change `params.yaml` and say what was changed.

    Raises:
        UserError: there is no such profile, or as `apply` does.
    """
    before = lineage.flatten(load(PARAMS).model_dump(), ".")
    there = dict(sorted((path.stem, path) for path in PROFILES.glob("*.yaml")))
    if name not in there:
        raise UserError(f"{PROFILES}: no profile {excerpt(name)}; expected {', '.join(there)}")
    apply(there[name], PARAMS)
    after = lineage.flatten(load(PARAMS).model_dump(), ".")
    for key in after:
        if after[key] != before[key]:
            print(f"{key}: {before[key]} -> {after[key]}")


def apply(profile: Path, params: Path) -> None:
    """Write the values of the profile into the file of parameters, whose comments and other values stay.

    Raises:
        UserError: one of the files is refused, or the profile's values are; then `params` is left as it was.
    """
    values, merged = read(profile), load(params).model_dump()
    if not isinstance(values, dict):
        raise UserError(f"{profile}: holds {excerpt(values)}; expected sections, as params.yaml has them")
    _lay(values, merged)
    check(merged, profile)
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 200
    content = yaml.load(params)
    _lay(values, content)
    result = params.with_name(f"{params.stem}.partial.yaml")
    try:
        yaml.dump(content, result)
        result.replace(params)
    finally:
        result.unlink(missing_ok=True)


def _lay(over: dict[str, Any], under: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            _lay(value, under[key])
        elif isinstance(value, list) and isinstance(under.get(key), list):
            under[key][:] = value  # the file's list stays on its line
        else:
            under[key] = value
