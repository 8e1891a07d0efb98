"""Share all that this clone has with the team: data, run-cache, experiments, rows.

mendline share

What a colleague then runs was run already: `dvc repro --pull --allow-missing` takes it from here.
"""

from dvc.repo import Repo

from pipeline.commands import sync
from pipeline.commands.dvc_errors import dvc_errors
from pipeline.runtime.errors import UserError
from pipeline.team import remote
from pipeline.tracking import client, place

WELL = ("success", "up_to_date")  # what became of an experiment that git's remote has


def main() -> None:
    """Send what the others lack, and say what went where.

    Raises:
        UserError: a place cannot be reached, or refuses.
    """
    client.check()
    with dvc_errors(), Repo() as repo:
        where = remote.check(repo)
        experiments = {name: rev for pairs in repo.experiments.ls(all_commits=True).values() for name, rev in pairs}
        sent = repo.push(run_cache=True, revs=list(experiments.values()))
        print(f"data of the workspace and {len(experiments)} experiments -> {where}: {sent} files that it lacked")
        share_experiments(repo, list(experiments))
    print(f"rows -> {place.shown()}: ", end="", flush=True)
    sync.main()


def share_experiments(repo: Repo, names: list[str]) -> None:
    """Send the experiments to git's remote.

    Raises:
        UserError: it has others of the same names.
    """
    hub = git_remote(repo)
    if not hub:
        print("experiments: git has no remote for them; git remote add origin URL")
        return
    result = repo.experiments.push(hub, exp_names=names) if names else {}
    if lost := [name for outcome in result if outcome not in {*WELL, "uploaded", "url"} for name in result[outcome]]:
        raise UserError(f"{hub} has other experiments named {', '.join(lost)}; dvc exp rename yours, and share again")
    there = ", ".join(sorted(name for outcome in WELL for name in result.get(outcome, [])))
    print(f"experiments -> {hub}: {there or 'there are none'}; commits: git push {hub}")


def git_remote(repo: Repo) -> str | None:
    """Git's remote for experiments: `origin`, else the only one."""
    names = [line for line in repo.scm.gitpython.repo.git.remote().splitlines() if line]
    return "origin" if "origin" in names else names[0] if len(names) == 1 else None
