"""The generator as a registered MLflow model, and which of its versions is the champion."""

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.params import Champion
from pipeline.tracking.store import Store, alone, is_missing, uri

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature

NAME = "mendline"
ALIAS = "champion"
LONGEST = 5000  # characters of a description that every MLflow store takes
CODE = [  # what a process that loads the model runs
    "pipeline/__init__.py",
    "pipeline/errors.py",
    "pipeline/params.py",
    "pipeline/pixels.py",
    "pipeline/stop.py",
    "pipeline/gan/__init__.py",
    "pipeline/gan/blocks.py",
    "pipeline/gan/device.py",
    "pipeline/gan/generator.py",
    "pipeline/gan/model.py",
    "pipeline/gan/prior.py",
    "pipeline/gan/textbook.py",
    "pipeline/tracking/__init__.py",
    "pipeline/tracking/served.py",
]
PACKAGES = ["mlflow", "numpy", "pydantic", "ruamel.yaml", "safetensors", "torch"]


def register(store: Store, run_id: str, folder: Path, champion: Champion) -> None:
    """Make the generator of a run a version of the registered model, unless it is one, and perhaps the champion.

    MLflow keeps no pickle: weights, `config.json`, the code that runs them, signature, example, requirements and the
    model card. stdout says what became of the alias.
    """
    made = next(iter(store.client.search_model_versions(f"run_id = '{run_id}'")), None)
    made = made or _log(store, run_id, folder)
    with alone():
        better, why = improves(store, run_id, champion)
        if better:
            store.client.set_registered_model_alias(NAME, ALIAS, made.version)
    print(f"model {NAME} version {made.version} {'is' if better else 'is not'} the {ALIAS}: {why}")


def _log(store: Store, run_id: str, folder: Path) -> "ModelVersion":
    import mlflow
    from mlflow.models import Model

    mlflow.set_tracking_uri(uri())
    mlflow.set_experiment(experiment_id=store.rows)
    card = (folder / "metrics/model_card.md").read_text()
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary, "model")
        shutil.copytree(folder / "data/model", data)
        (data / "README.md").write_text(card)
        for name in CODE:
            (Path(temporary) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / name, Path(temporary) / name)
        logged = Model.log(
            artifact_path=None,
            flavor=mlflow.pyfunc,
            name=NAME,
            run_id=run_id,
            step=-1,  # MLflow would log the metrics of this step a second time
            loader_module="pipeline.tracking.served",
            data_path=str(data),
            code_paths=[str(Path(temporary, "pipeline"))],
            signature=_signature(),
            input_example=_example(),
            pip_requirements=[f"{name}=={version(name)}" for name in PACKAGES],
        )
    client, model_id = store.client, logged.model_id
    with alone():
        if not client.search_registered_models(f"name = '{NAME}'"):
            client.create_registered_model(NAME, description="Restores pictures: inpainting and super-resolution.")
    return client.create_model_version(NAME, logged.model_uri, run_id, description=card[:LONGEST], model_id=model_id)


def _signature() -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    uint8 = np.dtype(np.uint8)
    pictures = TensorSpec(uint8, (-1, -1, -1, 3), "image")
    masks = TensorSpec(uint8, (-1, -1, -1), "mask")
    return ModelSignature(Schema([pictures, masks]), Schema([TensorSpec(uint8, (-1, -1, -1, 3))]))


def _example() -> dict[str, np.ndarray]:
    """Two pictures of a colour gradient with a square hole."""
    ramp = np.linspace(0, 255, 24).astype(np.uint8)
    across, down = np.meshgrid(ramp, ramp)
    image = np.stack([across, down, 255 - across], -1)
    mask = np.zeros((24, 24), np.uint8)
    mask[8:16, 8:16] = 255
    image[mask > 0] = 0
    return {"image": np.stack([image, image]), "mask": np.stack([mask, mask])}


def improves(store: Store, run_id: str, rule: Champion) -> tuple[bool, str]:
    """Whether the model of a run is better than the champion by the rule, and why."""
    from mlflow.exceptions import MlflowException

    challenger = store.client.get_run(run_id).data
    try:
        holder = store.client.get_model_version_by_alias(NAME, ALIAS)
    except MlflowException as error:
        if is_missing(error):
            return True, "there was none"
        raise
    champion = store.client.get_run(holder.run_id or "").data
    pairs = "digest.data/pairs"
    if challenger.tags.get(pairs) != champion.tags.get(pairs):
        return False, f"version {holder.version} was scored on other test pairs; to prefer the new one, move the alias"
    score, to_beat = (scores.metrics[f"evaluate/{rule.metric}"] for scores in (challenger, champion))
    return score > to_beat + rule.margin, f"{rule.metric} {score:.4f} against {to_beat:.4f} of version {holder.version}"
