"""The experiments side by side, as DVC has them and as MLflow has them, and whether the two agree.

mendline compare
"""

from pathlib import Path
from typing import TYPE_CHECKING

import dvc.api
import pandas as pd
from dvc.repo import Repo

from pipeline import lineage
from pipeline.commands.dvc_errors import dvc_errors
from pipeline.metrics.registry import HEADLINE
from pipeline.runtime.errors import UserError
from pipeline.runtime.yaml_file import read
from pipeline.tracking.client import connect_existing
from pipeline.tracking.faults import mlflow_errors

if TYPE_CHECKING:
    from pipeline.tracking.client import Run

FILES = ["metrics/headline.json", "metrics/evaluate.json"]
PREFIX = "evaluate/"  # of its scores in MLflow


def main() -> None:
    """Print the workspace, the last commit and its experiments: scores, what they changed, and MLflow's view.

    Raises:
        UserError: MLflow lacks an experiment, or has another value somewhere.
    """
    with dvc_errors(), Repo() as repo:
        table = pd.DataFrame(dvc.api.exp_show())
        table = table[~table.State.isin(["Queued", "Running", "Failed"])]
        scores = scores_of(repo, list(table.rev))
    table.index = pd.Index(table.Experiment.fillna(table.rev), name="experiment")
    store = connect_existing()
    with mlflow_errors():
        runs = store.search(store.rows, complete="true") if store else []
    rows = {run.data.tags["result"]: run for run in runs}
    views = pd.Series([view(scores[rev], stages_of(rev), rows) for rev in table.rev], table.index)
    changed = changed_since(stages_of("workspace"))
    if changed and views.get("workspace"):
        views["workspace"] += f", but {', '.join(changed[:3])} changed since: dvc repro"
    parameters = [name for name in table if name.split(".")[0] in lineage.STAGES and table[name].nunique() > 1]
    shown = pd.DataFrame([scores[rev] for rev in table.rev], table.index).reindex(columns=[*HEADLINE])
    shown = shown.dropna(axis="columns", how="all")
    print(shown.join(table[parameters]).assign(MLflow=views).to_markdown(tablefmt="simple", floatfmt=".4f"))
    if not views.str.match("the same|$").all():
        raise UserError("MLflow differs from DVC; make sync-mlflow adds what it lacks")


def scores_of(repo: Repo, revs: list[str]) -> dict[str, dict[str, float]]:
    """The headline and all scores of the evaluation, by names such as `scratch.psnr_hole`, of each commit or workspace.

    None where they are neither there nor in DVC's cache.
    """
    shown = repo.metrics.show(targets=FILES, revs=revs, hide_workspace=False)
    read = {rev: [file.get("data", {}) for file in shown[rev].get("data", {}).values()] for rev in revs}
    return {
        rev: {name: score for file in files for name, score in lineage.flatten(file, ".").items()}
        for rev, files in read.items()
    }


def stages_of(rev: str) -> lineage.Stages:
    """The stages in the lock of a commit, or of the workspace; none where not all of them have run."""
    stages = lineage.workspace_lock() if rev == "workspace" else lineage.committed(rev)
    return stages if stages.keys() >= set(lineage.STAGES) else {}


def changed_since(stages: lineage.Stages) -> list[str]:
    """The parameters whose values in `params.yaml` are not those of a lock."""
    now = lineage.flatten(read(Path("params.yaml")), ".")
    return [name for name, value in lineage.parameters(stages).items() if str(now.get(name)) != value]


def view(scores: dict[str, float], stages: lineage.Stages, runs: dict[str, "Run"]) -> str:
    """What MLflow says of a result with these scores and this lock: the same, no row, or the first values that differ.

    The parameters are those that made the result, which in the workspace may have been edited since.
    """
    if not stages or not scores.keys() & set(HEADLINE):
        return ""
    run = runs.get(lineage.result_key(stages))
    if run is None:
        return "no row"
    metrics = run.data.metrics
    logged = {name.removeprefix(PREFIX).replace("/", "."): metrics[name] for name in metrics if name.startswith(PREFIX)}
    logged |= {name: metrics[name] for name in HEADLINE if name in metrics}
    differ = [name for name, value in logged.items() if not same(value, scores.get(name))]
    differ += [name for name, value in lineage.parameters(stages).items() if run.data.params.get(name) != value]
    return f"differs: {', '.join(differ[:3])}" if differ else "the same"


def same(one: float, other: float | None) -> bool:
    """Whether two scores are equal; where there is none, both are none."""
    return one == other or (pd.isna(one) and pd.isna(other))
