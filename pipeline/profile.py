"""Lay one of the profiles over `params.yaml`: the few parameters that make it another task or another budget.

python -m pipeline.profile coco-cpu

All profiles set the same parameters, so one replaces another; what none of them sets stays as it is.
"""

import argparse
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline import lineage
from pipeline.errors import one_line_errors
from pipeline.params import load

PROFILES = Path("profiles")
PARAMS = Path("params.yaml")


def main() -> None:
    """Change `params.yaml` and say what was changed."""
    parser = argparse.ArgumentParser("python -m pipeline.profile", description=__doc__.split("\n")[0])
    parser.add_argument("name", choices=sorted(path.stem for path in PROFILES.glob("*.yaml")))
    before = lineage.flat(load(PARAMS).model_dump(), ".")
    apply(PROFILES / f"{parser.parse_args().name}.yaml", PARAMS)
    after = lineage.flat(load(PARAMS).model_dump(), ".")
    for key in after:
        if after[key] != before[key]:
            print(f"{key}: {before[key]} -> {after[key]}")


def apply(profile: Path, params: Path) -> None:
    """Write the values of the profile into the file of parameters, whose comments and other values stay.

    Raises:
        UserError: the result is refused; then `params` is left as it was.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 200
    content = yaml.load(params)
    _lay(YAML(typ="safe", pure=True).load(profile), content)
    result = params.with_name(f"{params.stem}.partial.yaml")
    try:
        yaml.dump(content, result)
        load(result)
        result.replace(params)
    finally:
        result.unlink(missing_ok=True)


def _lay(over: dict[str, Any], under: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict):
            _lay(value, under.setdefault(key, {}))
        else:
            under[key] = value


if __name__ == "__main__":
    with one_line_errors():
        main()
