"""Generators, enlargers, translators and detectors as registered MLflow models; which version is the champion."""

import re
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.metrics.registry import METRICS
from pipeline.params import Champion
from pipeline.tracking import server_lock
from pipeline.tracking.client import Store, is_missing
from pipeline.tracking.place import uri

if TYPE_CHECKING:
    from mlflow.entities import Run, RunData
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature

NAME, DETECTOR, ENLARGER = "mendline", "mendline-detector", "mendline-enlarger"
TRANSLATOR = "mendline-translator"
NAMES = {"detector": DETECTOR, "enlarger": ENLARGER, "translator": TRANSLATOR}  # by design; of the others `NAME`
DESCRIPTIONS = {
    NAME: "Restores pictures.",
    DETECTOR: "Finds the damage of pictures.",
    ENLARGER: "Makes pictures larger: super-resolution.",
    TRANSLATOR: "Changes the look of pictures, learned without pairs.",
}
DESIGN = "train.generator.design"  # a parameter of a run
ALIAS = "champion"
LOGGED = "models:/([^/@]+)"  # a version's source, where that is a logged model: its id
MODEL, PAIRS = "digest.data/model", "digest.data/pairs"  # tags of a run
LONGEST = 5000  # characters of a description that every MLflow store takes
CODE = [  # what a process that loads the model runs
    "pipeline/__init__.py",
    "pipeline/images/__init__.py",
    "pipeline/images/tensors.py",
    "pipeline/networks/__init__.py",
    "pipeline/networks/blocks.py",
    "pipeline/networks/detector.py",
    "pipeline/networks/device.py",
    "pipeline/networks/enlarger.py",
    "pipeline/networks/generator.py",
    "pipeline/networks/pix2pix.py",
    "pipeline/networks/registry.py",
    "pipeline/networks/translator.py",
    "pipeline/networks/unet.py",
    "pipeline/networks/weights.py",
    "pipeline/params.py",
    "pipeline/priors/__init__.py",
    "pipeline/priors/exemplar_fill.py",
    "pipeline/priors/numpy_fill.py",
    "pipeline/priors/torch_fill.py",
    "pipeline/runtime/__init__.py",
    "pipeline/runtime/environment.py",
    "pipeline/runtime/errors.py",
    "pipeline/runtime/stop.py",
    "pipeline/runtime/yaml_file.py",
    "pipeline/tasks.py",
    "pipeline/tracking/__init__.py",
    "pipeline/tracking/pyfunc.py",
]
PACKAGES = ["mlflow", "numpy", "opencv-contrib-python-headless", "pydantic", "ruamel.yaml", "safetensors", "torch"]


def register(store: Store, run_id: str, folder: Path, champion: Champion) -> None:
    """Make the model of a run a version of the registered one of its kind, unless it is one, and perhaps the champion.

    MLflow keeps no pickle: weights, `config.json`, the code that runs them, signature, example, requirements and the
    model card. The run's tag `model.version` names the version. stdout says what became of the alias. To be called
    while `place.exclusive_rows` and the `server_lock` of the model's digest are held.
    """
    made = _version(store, run_id) or _log(store, run_id, folder)
    store.client.set_tag(run_id, "model.version", str(made.version))
    name = name_of(store.client.get_run(run_id))
    with server_lock.exclusive(store.client, f"{name}-{ALIAS}"):
        holder = _champion(store, name)
        if holder and str(holder.version) == str(made.version):
            better, why = True, "it was before"
        else:
            better, why = improves(store, run_id, champion)
        if better:
            store.client.set_registered_model_alias(name, ALIAS, made.version)
    print(f"model {name} version {made.version} {'is' if better else 'is not'} the {ALIAS}: {why}")


def name_of(run: "Run") -> str:
    """The registered model that the model of a run is a version of."""
    return NAMES.get(run.data.params.get(DESIGN, ""), NAME)


def is_there(store: Store, name: str) -> bool:
    """Whether there is a registered model of this name; someone may have deleted it."""
    return bool(store.client.search_registered_models(f"name = '{name}'"))


def without_files(store: Store, name: str) -> set[str]:
    """The versions of a registered model whose files were deleted."""
    versions = store.client.search_model_versions(f"name = '{name}'")
    return {str(version.version) for version in versions if not _has_files(store, version)}


def _has_files(store: Store, version: "ModelVersion") -> bool:
    """Of one that was registered by hand from a folder that is taken for granted."""
    logged = re.fullmatch(LOGGED, version.source or "")
    return not logged or bool(_found(store.client.list_logged_model_artifacts, logged[1]))


def _version(store: Store, run_id: str) -> "ModelVersion | None":
    """The version that holds the model of a run: its own, or that of another run with the same bytes."""
    run = store.client.get_run(run_id)
    digest = run.data.tags.get(MODEL)
    same = [run.info.run_id for run in store.search(store.rows, **{MODEL: digest})] if digest else []
    found = store.client.search_model_versions(f"name = '{name_of(run)}'")
    versions = {version.run_id: version for version in found if _has_files(store, version)}
    return next((versions[run] for run in [run_id, *same] if run in versions), None)


def _log(store: Store, run_id: str, folder: Path) -> "ModelVersion":
    import mlflow
    from mlflow.models import Model

    mlflow.set_tracking_uri(uri())
    mlflow.set_experiment(experiment_id=store.rows)
    name = name_of(store.client.get_run(run_id))
    card = (folder / "metrics/model_card.md").read_text()
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary, "model")
        shutil.copytree(folder / "data/model", data)
        (data / "README.md").write_text(card)
        for path in CODE:
            (Path(temporary) / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / path, Path(temporary) / path)
        logged = Model.log(
            artifact_path=None,
            flavor=mlflow.pyfunc,
            name=name,
            run_id=run_id,
            step=-1,  # MLflow would log the metrics of this step a second time
            loader_module="pipeline.tracking.pyfunc",
            data_path=str(data),
            code_paths=[str(Path(temporary, "pipeline"))],
            signature=_signature(name),
            input_example=_example(name),
            pip_requirements=[f"{name}=={version(name)}" for name in PACKAGES],
        )
    client, model_id = store.client, logged.model_id
    with server_lock.exclusive(client, name):
        if not is_there(store, name):
            client.create_registered_model(name, description=DESCRIPTIONS[name])
    return client.create_model_version(name, logged.model_uri, run_id, description=card[:LONGEST], model_id=model_id)


def _signature(name: str) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    uint8 = np.dtype(np.uint8)
    pictures = TensorSpec(uint8, (-1, -1, -1, 3), "image")
    masks = TensorSpec(uint8, (-1, -1, -1), "mask")
    if name == DETECTOR:
        return ModelSignature(Schema([pictures]), Schema([TensorSpec(uint8, (-1, -1, -1))]))
    made = Schema([TensorSpec(uint8, (-1, -1, -1, 3))])
    if name == TRANSLATOR:
        return ModelSignature(Schema([pictures]), made)
    if name == ENLARGER:
        return ModelSignature(Schema([pictures]), made, ParamSchema([ParamSpec("factor", DataType.long, 2)]))
    return ModelSignature(Schema([pictures, masks]), made)


def _example(name: str) -> dict[str, np.ndarray]:
    """Two pictures of a colour gradient with a square hole, and where it is."""
    ramp = np.linspace(0, 255, 24).astype(np.uint8)
    across, down = np.meshgrid(ramp, ramp)
    image = np.stack([across, down, 255 - across], -1)
    mask = np.zeros((24, 24), np.uint8)
    mask[8:16, 8:16] = 255
    image[mask > 0] = 0
    pictures = {"image": np.stack([image, image])}
    return pictures | {"mask": np.stack([mask, mask])} if name == NAME else pictures


def improves(store: Store, run_id: str, rule: Champion) -> tuple[bool, str]:
    """Whether the model of a run is better than the champion by the rule, and why."""
    holder = _champion(store, name_of(store.client.get_run(run_id)))
    if not holder:
        return True, "there was none"
    you_decide = "to prefer the new one, move the alias"
    champion, challenger = _data(store, holder.run_id or ""), store.client.get_run(run_id).data
    if not champion:
        return False, f"the run of version {holder.version} was deleted; {you_decide}"
    if challenger.tags.get(PAIRS) != champion.tags.get(PAIRS):
        return False, f"version {holder.version} was scored on other test pairs; {you_decide}"
    score, to_beat = (scores.metrics.get(f"evaluate/{rule.metric}") for scores in (challenger, champion))
    if score is None or to_beat is None:
        return False, f"one of the two has no {rule.metric}; {you_decide}"
    higher = METRICS[rule.metric].higher_is_better
    better = score > to_beat + rule.margin if higher else score < to_beat - rule.margin
    return better, f"{rule.metric} {score:.4f} against {to_beat:.4f} of version {holder.version}"


def _champion(store: Store, name: str) -> "ModelVersion | None":
    """The version with the alias, unless its files were deleted."""
    holder = _found(store.client.get_model_version_by_alias, name, ALIAS)
    return holder if holder and _has_files(store, holder) else None


def _data(store: Store, run_id: str) -> "RunData | None":
    run = _found(store.client.get_run, run_id)
    return run.data if run else None


def _found(get: Callable[..., Any], *names: str) -> Any:
    """What MLflow has under these names; None where it has no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return get(*names)
    except MlflowException as error:
        if is_missing(error):
            return None
        raise
