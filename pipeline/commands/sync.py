"""Bring MLflow up to date with DVC: the workspace's result and each experiment get a complete row.

mendline sync

What DVC has restored (from its cache, a colleague's, another commit) has run no stage, so nothing has been logged.
Everything is read from `dvc.lock` and DVC's cache or remote; no stage runs. A second call adds nothing.
"""

import sys
import tempfile
from pathlib import Path

from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.index import DataIndexDirError

from pipeline import lineage
from pipeline.commands.dvc_errors import dvc_errors
from pipeline.params import Champion, load
from pipeline.runtime.errors import UserError
from pipeline.tracking import experiment_run
from pipeline.tracking.client import Store, connect, unavailable
from pipeline.tracking.faults import first_line


def main() -> None:
    """Add what is missing, and say what that was.

    Raises:
        UserError: MLflow or the repository cannot be used.
    """
    tracking = load().tracking
    with dvc_errors(), Repo() as repo:
        try:
            store = connect()
        except UserError as error:
            unavailable(error, tracking.required)
            return
        experiment_run.reopen(store)
        experiments = [pair for pairs in repo.experiments.ls(all_commits=True).values() for pair in pairs]
        added = [name for name, rev in experiments if add_experiment(store, name, rev, tracking.champion)]
        if add_workspace(store, repo, tracking.champion):
            added.append("workspace")
    print(f"MLflow: added {', '.join(added)}" if added else "MLflow: nothing to add")


def add_experiment(store: Store, name: str, rev: str, champion: Champion) -> bool:
    """Add the experiment with this name and commit, if it has a result that MLflow lacks."""
    code = {"dvc.experiment": name, "git.commit": rev, "git.dirty": "false"}
    return add(store, lineage.committed(rev), code, rev, champion)


def add_workspace(store: Store, repo: Repo, champion: Champion) -> bool:
    """Add the result in the workspace, if it is whole and MLflow lacks it.

    Raises:
        UserError: outs are not those of `dvc.lock`.
    """
    changed = [str(out) for out in repo.index.outs if "modified" in out.status().values()]
    if changed:
        raise UserError(f"{', '.join(changed)}: not as dvc.lock has it; run dvc checkout or dvc repro first")
    return add(store, lineage.workspace_lock(), lineage.code_state(), None, champion)


def add(store: Store, stages: lineage.Stages, code: dict[str, str], rev: str | None, champion: Champion) -> bool:
    """Complete the row of a result, with its files as they are at `rev`, in the workspace where that is None."""
    ended = stages.keys() >= set(lineage.STAGES) and "metrics/headline.json" in lineage.digests(stages)
    if not ended or experiment_run.is_complete(store, stages, code):
        return False
    with tempfile.TemporaryDirectory() as temporary:
        try:
            files = DVCFileSystem(rev=rev)
            for path in experiment_run.FILES:
                Path(temporary, path).parent.mkdir(parents=True, exist_ok=True)
                files.get(path, str(Path(temporary, path)), recursive=True)
        except (OSError, ImportError, DvcException, DataIndexDirError) as error:
            reason = f"{first_line(error)}; dvc pull or dvc exp pull may have it"
            print(f"warning: {lineage.name(code)} is not added: {reason}", file=sys.stderr)
            return False
        return experiment_run.complete(store, stages, code, Path(temporary), champion)
