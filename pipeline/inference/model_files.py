"""Where the files of a model are: a folder, an ONNX file, one that ships, or in MLflow."""

import csv
import json
from pathlib import Path

from pipeline.runtime.errors import UserError, explain_os_error

INSTALLED = Path(__file__).parents[1] / "models"
MODELS = INSTALLED if INSTALLED.exists() else Path(__file__).parents[2] / "models"  # in the repository
DETECTOR, STYLE = "detect", "painting"  # the detector and the translator that ship
MLFLOW = ("models:/", "runs:/", "mlflow-artifacts:/")


def ships(name: str) -> bool:
    """Whether a model of that name ships with this copy."""
    return (MODELS / name / "config.json").exists()


def find_model(source: str | Path) -> Path:
    """The folder or file of a model, from its path, the name that it ships under, or its URI in MLflow.

    Raises:
        UserError: there is none.
    """
    if str(source).startswith(MLFLOW):
        return _fetched(str(source))
    path = Path(source)
    if (path / "config.json").exists():
        return path
    shipped = sorted(config.parent.name for config in MODELS.glob("*/config.json"))
    if str(source) in shipped:
        return MODELS / path
    if str(source) == DETECTOR:
        raise UserError(
            f"{MODELS / path}: not there, no detector ships with this copy; train one (mendline profile detect, then "
            "dvc repro), and give its folder, data/model"
        )
    if not path.is_dir() and not (path.is_file() and path.suffix == ".onnx"):
        raise UserError(
            f"{source}: no such model; give a model folder (dvc repro makes data/model), an ONNX file, a URI of MLflow "
            f"(models:/mendline@champion), or the name of a model that ships: {', '.join(shipped)}"
        )
    return path


def design_of(source: str | Path) -> str:
    """The design of a model's generator, as `config.json` has it; empty where that cannot be read.

    Raises:
        UserError: there is no such model.
    """
    found = find_model(source)
    try:
        return str(
            json.loads(((found if found.is_dir() else found.parent) / "config.json").read_text())["generator"]["design"]
        )
    except (OSError, ValueError, LookupError, TypeError):  # whoever loads it says what is wrong
        return ""


def trained_corruptions(source: Path) -> frozenset[str]:
    """What a model was trained for: the corruptions of its table of scores, if that was kept beside it.

    Raises:
        UserError: the table cannot be read.
    """
    table = (source if source.is_dir() else source.parent) / "scores.csv"
    if not table.exists():
        return frozenset()
    try:
        with table.open(newline="", encoding="utf-8", errors="replace") as lines:
            return frozenset(filter(None, (line.get("corruption") for line in csv.DictReader(lines))))
    except OSError as error:
        raise UserError(explain_os_error(error, table)) from None
    except csv.Error as error:
        raise UserError(
            f"{table}: not a table of scores ({error}); remove it, or copy it again from where the model is from"
        ) from None


def _fetched(uri: str) -> Path:
    """The model's folder, out of MLflow."""
    try:
        from pipeline.tracking import client
    except ImportError as error:
        raise UserError(f"{uri}: {error.name} is not installed; install it, or give a folder") from None
    logged = client.download(uri)
    found = sorted(logged.rglob("generator.safetensors"))
    if not found:
        raise UserError(f"{uri}: no generator in it; expected a model of this pipeline")
    return found[0].parent
