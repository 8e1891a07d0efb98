"""The MLflow run that made a model file, or that a `dvc.lock` belongs to.

mendline find data/model/generator.safetensors
"""

from hashlib import sha256
from pathlib import Path

from pipeline import lineage
from pipeline.metrics.registry import HEADLINE
from pipeline.runtime.errors import UserError
from pipeline.tracking.client import Store, connect_existing
from pipeline.tracking.faults import mlflow_errors
from pipeline.tracking.place import is_server, shown

SHOWN = [*HEADLINE, "dvc.experiment", "git.commit", "git.dirty"]
SHOWN += ["digest.data/coco", "digest.data/pairs", "digest.data/model", "stages.ran", "stages.reused"]


def main(path: Path) -> None:
    """Print each run with its scores, commit and data."""
    tags = identity(path)
    store = connect_existing()
    if not store:
        raise UserError(
            f"{path}: MLflow at {shown()} has no runs of this pipeline; run this in the repository's folder, set "
            "MLFLOW_TRACKING_URI, or fill it with make sync-mlflow"
        )
    with mlflow_errors():
        runs = store.search(store.rows, **tags)
    if not runs:
        raise UserError(f"{path}: MLflow at {shown()} has no run of it; make sync-mlflow may add it")
    for run in runs:
        print(run.info.run_name, link(store, run.info.run_id), sep="\n  ")
        for name, value in (run.data.metrics | run.data.tags).items():
            if name in SHOWN:
                print(f"  {name}: {value}")


def identity(path: Path) -> dict[str, str]:
    """The tags of the run.

    Raises:
        UserError: the file is neither a model nor a lock.
    """
    if not path.exists():
        raise UserError(f"{path}: not there; give generator.safetensors, its folder, or a dvc.lock")
    weights = path / "generator.safetensors" if path.is_dir() else path
    if weights.is_file() and weights.suffix == ".safetensors":
        return {"model.sha256": sha256(weights.read_bytes()).hexdigest()}
    try:
        return {"result": lineage.result_key(lineage.parse_lock(path.read_text()))}
    except (OSError, ValueError):
        raise UserError(f"{path}: neither a model (.safetensors) nor a dvc.lock; give one of them") from None


def link(store: Store, run_id: str) -> str:
    """The run's page; of an embedded store, where `make ui` shows it."""
    server = shown() if is_server() else "http://127.0.0.1:5000"
    return f"{server}/#/experiments/{store.rows}/runs/{run_id}"
