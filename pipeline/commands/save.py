"""Save the workspace's model in `models/`, with all that tells where it comes from and what it is worth.

mendline save portraits

`train.init: models/portraits` starts from it. Git can hold it: the weights are a few megabytes.
"""

import shutil
from pathlib import Path

import pandas as pd
from dvc.repo import Repo

from pipeline.commands.dvc_errors import dvc_errors
from pipeline.datasets import photos
from pipeline.datasets.splits import assign_splits
from pipeline.params import load
from pipeline.runtime.errors import UserError

SAVED = {  # where it lies, and its name beside the weights
    "data/model/generator.safetensors": "generator.safetensors",
    "data/model/config.json": "config.json",
    "params.yaml": "params.yaml",
    "dvc.lock": "dvc.lock",
    "metrics/model_card.md": "README.md",
    "metrics/by_corruption.csv": "scores.csv",
}
COLUMNS = ["image_id", "split", "file_name", "license", "license_url", "source_url", "sha256"]


def main(name: str) -> None:
    """Copy the model, its card, parameters, lock and scores, and list the photos it was trained on.

    Raises:
        UserError: the pipeline has not run to its end here, or with other parameters, or there is such a model already,
            or it cannot be named so.
    """
    folder = Path("models") / name
    if folder.name != name or name.startswith("."):
        raise UserError(f"{name!r} is no name for a folder in models/; give one without / and not beginning with a dot")
    if missing := [path for path in SAVED if not Path(path).exists()]:
        raise UserError(f"{missing[0]}: not there; run dvc repro first")
    if folder.exists():
        raise UserError(f"{folder}: is there already; remove it, or give another name")
    with dvc_errors(), Repo() as repo:
        changed = repo.status()
    if changed:
        raise UserError(f"{', '.join(changed)}: not what params.yaml and the code would make; run dvc repro first")
    trained_on = list_training_photos()
    folder.mkdir(parents=True)
    for path, saved in SAVED.items():
        shutil.copy(path, folder / saved)
    trained_on.to_csv(folder / "photos.csv", index=False)
    print(f"{folder}: {sum(path.stat().st_size for path in folder.iterdir()) / 1e6:.1f} MB")


def list_training_photos() -> pd.DataFrame:
    """The lines of the manifest that belong to the train split, after those of the model it started from."""
    params = load()
    splits = assign_splits(photos.index(Path("data/coco")), params.corrupt.val, params.corrupt.test)
    manifest = pd.read_csv("data/coco/manifest.csv", usecols=COLUMNS)
    own = manifest[manifest.image_id.isin([photo.image_id for photo in splits["train"]])][COLUMNS]
    earlier = Path(params.train.init) / "photos.csv"
    return pd.concat([pd.read_csv(earlier), own]).drop_duplicates("sha256") if earlier.exists() else own
