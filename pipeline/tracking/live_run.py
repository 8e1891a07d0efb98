"""The row of an experiment while its training runs, which does not wait for it."""

import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import lineage
from pipeline.runtime.errors import UserError
from pipeline.tracking import run_content
from pipeline.tracking.client import Store, connect, is_missing, unavailable
from pipeline.tracking.faults import explain, mlflow_errors
from pipeline.tracking.place import shown, uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as LoggedRun

SAMPLING = 10.0  # seconds between two looks at the processor, the memory and the GPU
MADE = "digest.data/model"  # the tag with DVC's digest of what a training has made
LAST_WORDS = {"FINISHED": 60.0, "FAILED": 10.0, "KILLED": 3.0}  # seconds that MLflow is waited for at the end


class Run:
    """A run that is under way. Points and pictures are sent by a thread of its own, so a slow server costs no time.

    What cannot be sent is tried again with what comes next; a warning says so once. What a run lacks at its end is
    added by `experiment_run.complete`. What it holds already, name and step, is not sent again.
    """

    def __init__(self, client: "MlflowClient", run_id: str, logged: run_content.Logged = frozenset()) -> None:
        self.client, self.run_id, self.logged = client, run_id, logged
        self._tags: dict[str, str] = {}
        self._points: list[Any] = []
        self._pictures: list[tuple[str, int, np.ndarray]] = []
        self._away = self._ended = False
        self._calls: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send_all, daemon=True)
        self._monitor = self._watched()
        self._sender.start()

    def points(self, points: list[tuple[int, dict[str, float]]]) -> None:
        """Log points of metrics, each with its step."""
        self._points += run_content.points(points, self.logged)
        self._calls.put("")

    def picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """Log a uint8 RGB HWC picture of a series, for the run's image grid."""
        if (name, step) not in self.logged:
            self._pictures.append((name, step, picture))
            self._calls.put("")

    def tag(self, name: str, value: str) -> None:
        """Say something of the run."""
        self._tags[name] = value
        self._calls.put("")

    def end(self, status: str) -> None:
        """The run is FINISHED, KILLED or FAILED."""
        self._calls.put(status)
        self._sender.join(LAST_WORDS[status])
        if not self._ended:
            with suppress(OSError):  # a full disk; evaluate then makes a row of its own
                _note(self.run_id).parent.mkdir(parents=True, exist_ok=True)
                _note(self.run_id).write_text(self._tags.get(MADE, ""))
            what = f"run {self.run_id} at {shown()} is not complete"
            print(f"warning: {what}; evaluate or make sync-mlflow adds what is missing", file=sys.stderr)

    def _send_all(self) -> None:
        while not (status := self._next_call()):
            self._send()
        self._monitor.finish()
        self._send()
        if not self._away:
            with suppress(Exception):
                self.client.set_terminated(self.run_id, status)
                self._ended = True

    def _next_call(self) -> str:
        """Wait for a call; of those that have come meanwhile the last: one sending is enough for all."""
        call = self._calls.get()
        while not self._calls.empty():
            call = self._calls.get()
        return call

    def _send(self) -> None:
        try:
            while self._tags:
                name, value = next(iter(self._tags.items()))
                self.client.set_tag(self.run_id, name, value)
                del self._tags[name]
            while self._points:
                batch = self._points[: run_content.BATCH]
                self.client.log_batch(self.run_id, batch)
                del self._points[: len(batch)]
            while self._pictures:
                name, step, picture = self._pictures[0]
                self.client.log_image(self.run_id, picture, key=name, step=step)
                del self._pictures[0]
        except Exception as error:
            if not self._away:
                print(f"warning: MLflow at {shown()}: {explain(error)}; the work goes on", file=sys.stderr)
            self._away = True
        else:
            if self._away:  # the monitor may have given up meanwhile
                self._monitor.finish()
                self._monitor = self._watched()
            self._away = False

    def _watched(self) -> Any:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(self.run_id, SAMPLING, resume_logging=True, tracking_uri=uri())
        monitor.start()
        return monitor


class Untracked:
    """The run of a work that goes on without MLflow."""

    run_id = ""

    def points(self, points: list[tuple[int, dict[str, float]]]) -> None:
        """Nothing is logged."""

    def picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """Nothing is logged."""

    def tag(self, name: str, value: str) -> None:
        """Nothing is logged."""

    def end(self, status: str) -> None:
        """Nothing is logged."""


@contextmanager
def start(fingerprint: str, facts: dict[str, str], earlier: str, required: bool) -> Iterator[Run | Untracked]:
    """The row of the experiment whose training runs: its parameters so far, its data and its code.

    The row whose id is `earlier` goes on, where it is of this training and no experiment's yet: one that had finished
    too, as DVC may have been killed before it took what was made. It ends FINISHED, KILLED when the stage is stopped,
    FAILED when the block raises something else.

    Args:
        fingerprint: of all that decides the training.
        facts: what else the row says of the training, as tags.
        earlier: an id, or nothing.
        required: whether MLflow must be there.

    Raises:
        UserError: it is not.
    """
    try:
        run: Run | Untracked = _open(facts | {"fingerprint": fingerprint}, earlier)
    except UserError as error:
        unavailable(error, required)
        run = Untracked()
    try:
        yield run
    except BaseException as error:
        run.end("KILLED" if isinstance(error, SystemExit) else "FAILED")
        raise
    run.end("FINISHED")


def _open(facts: dict[str, str], earlier: str) -> Run:
    store = connect()
    stages = lineage.stages_with_running("train")
    stages["train"] |= {"outs": []}  # what lies there is an earlier training's
    code = lineage.code_state()
    key = lineage.training_key(stages)
    with mlflow_errors():
        if earlier and _goes_on(store, earlier, key):
            store.client.update_run(earlier, "RUNNING", lineage.name(code))
            logged = run_content.logged(store.client, earlier)
        else:
            earlier = store.client.create_run(store.rows, run_name=lineage.name(code)).info.run_id
            logged = frozenset()
        run_content.describe(store, earlier, stages, code, facts | {"training": key})
        return Run(store.client, earlier, logged)


def trained(run: "LoggedRun") -> bool:
    """Whether a training has run in this run; a row that was made afterwards has none."""
    return "fingerprint" in run.data.tags


def made(run: "LoggedRun") -> str:
    """DVC's digest of the model that the training of a run has made: told to MLflow, or noted where it could not be."""
    note = _note(run.info.run_id)
    return run.data.tags.get(MADE) or (note.read_text() if note.exists() else "")


def _note(run_id: str) -> Path:
    return lineage.root() / ".cache/mlflow-unsent" / run_id


def _goes_on(store: Store, run_id: str, key: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        run = store.client.get_run(run_id)
    except MlflowException as error:
        if is_missing(error):
            return False
        raise
    free = "result" not in run.data.tags and run.info.lifecycle_stage != "deleted"
    return free and run.data.tags.get("training") == key
