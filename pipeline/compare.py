"""The experiments side by side, as DVC has them and as MLflow has them, and whether the two agree.

python -m pipeline.compare
"""

from typing import TYPE_CHECKING, Any

import dvc.api
import pandas as pd

from pipeline import lineage
from pipeline.errors import UserError, one_line_errors
from pipeline.quality.report import METRICS
from pipeline.tracking.store import connect, usable

if TYPE_CHECKING:
    from mlflow.entities import Run

PREFIX = "evaluate/"  # of the scores in MLflow


def main() -> None:
    """Print the workspace, the last commit and its experiments: scores, what they changed, and MLflow's view.

    Raises:
        UserError: MLflow lacks an experiment, or has another value somewhere.
    """
    table = pd.DataFrame(dvc.api.exp_show())
    table = table[~table.State.isin(["Queued", "Running", "Failed"])]
    table.index = pd.Index(table.Experiment.fillna(table.rev), name="experiment")
    store = connect()
    with usable():
        rows = {run.data.tags["result"]: run for run in store.search(store.rows, complete="true")}
    views = pd.Series([view(row, rows.get(key(row.rev))) for _, row in table.iterrows()], table.index)
    parameters = [name for name in table if name.split(".")[0] in lineage.STAGES and table[name].nunique() > 1]
    print(
        table.reindex(columns=[*METRICS, *parameters])
        .assign(MLflow=views)
        .to_markdown(tablefmt="simple", floatfmt=".4f")
    )
    if not views.isin({"the same", ""}).all():
        raise UserError("MLflow differs from DVC; make sync-mlflow adds what it lacks")


def key(rev: str) -> str:
    """The name of the result at a commit, or in the workspace; empty where stages have not run."""
    stages = lineage.current() if rev == "workspace" else lineage.committed(rev)
    return lineage.result_key(stages) if stages.keys() >= set(lineage.STAGES) else ""


def view(row: pd.Series, run: "Run | None") -> str:
    """What MLflow says of a line of `dvc exp show`: the same, no row, or the first values that differ."""
    if run is None:
        return "no row" if pd.notna(row.get("psnr")) else ""
    metrics = run.data.metrics
    scores = {name.removeprefix(PREFIX).replace("/", "."): metrics[name] for name in metrics if name.startswith(PREFIX)}
    differ = [name for name, value in (run.data.params | scores).items() if not same(value, row.get(name))]
    return f"differs: {', '.join(differ[:3])}" if differ else "the same"


def same(one: Any, other: Any) -> bool:
    """Whether two values are one number, or one text."""
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return str(one) == str(other)


if __name__ == "__main__":
    with one_line_errors():
        main()
