"""One training, from its first step or its last checkpoint to its end: fitted, validated, logged and saved."""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pipeline.corruptions.fresh_pairs import FreshPairs
from pipeline.datasets.pairs import Pairs
from pipeline.images import grid
from pipeline.metrics.registry import METRICS
from pipeline.runtime import files, progress, stop
from pipeline.runtime.errors import UserError
from pipeline.tracking.live_run import Run, Untracked
from pipeline.training import checkpoint, diagnosis, distributed
from pipeline.training.batches import sample_indices, training_batches
from pipeline.training.curves import Curves
from pipeline.training.trainer import Trainer

VALIDATED = 16  # val pairs at once


@dataclass
class TrainingRun:
    """A training that is under way, in the process of rank 0.

    Attributes:
        trainer: the networks, and `train` of the parameters.
        training: the pairs to learn from.
        validation: the val pairs.
        folder: of this training alone, for its checkpoints and val pictures.
        tracked: the run in MLflow.
        curves: how it went so far.
    """

    trainer: Trainer
    training: Pairs | FreshPairs
    validation: Pairs
    folder: Path
    tracked: Run | Untracked
    curves: Curves = field(default_factory=Curves)

    def resume(self) -> None:
        """Go on from the last good checkpoint, where there is one; MLflow gets the points and pictures that it lacks.

        The other processes learn where it begins.
        """
        steps = self.trainer.params.steps
        found = checkpoint.read_newest(self.folder, steps, self._check_checkpoint)
        if not found:
            print(f"starts at step 0 of {steps}", flush=True)
            distributed.broadcast_object((0, None))
            return
        path, tensors, numbers = found
        pending = tensors.pop("pending").to(self.trainer.device)
        distributed.broadcast_object((numbers["step"], tensors))
        self.trainer.load_state_dict(tensors)
        self.curves = Curves.from_state_dict(numbers, pending)
        print(f"continues at step {self.curves.step} of {steps}, from {path}", flush=True)
        self._log_so_far()

    def _check_checkpoint(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Refuse one that does not belong to this training, or whose pictures are not beside it as they were.

        Raises:
            ValueError, RuntimeError: with what is wrong.
        """
        state = {name: tensor for name, tensor in tensors.items() if name != "pending"}
        curves = Curves.from_state_dict(numbers, tensors.get("pending", torch.empty(0)))
        if {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()} != self.trainer.layout(curves.step):
            raise ValueError("its tensors are not those of this training")
        if name := diagnosis.find_broken_tensor(state):
            raise ValueError(f"{name} is not finite")
        self.trainer.check_rng(state)
        if curves.pictures.keys() != {self.picture_path(point["step"]).name for point in curves.scores}:
            raise ValueError("its pictures are not those of its scores")
        for name, digest in curves.pictures.items():
            if sha256((self.folder / name).read_bytes()).hexdigest() != digest:
                raise ValueError(f"{self.folder / name} is damaged")

    def _log_so_far(self) -> None:
        self.tracked.points([name_for_mlflow("train", point) for point in self.curves.losses])
        self.tracked.points([name_for_mlflow("val", point) for point in self.curves.scores])
        for point in self.curves.scores:
            with Image.open(self.picture_path(point["step"])) as figure:
                self.tracked.picture("restored", np.asarray(figure), point["step"])

    def fit(self) -> None:
        """Train to the last step; the curves grow, checkpoints and pictures go to the folder.

        The val pictures of a step are restored when training goes on from it, or ends. So a checkpoint is the same
        whether the training ends at its step or not, and a longer training can go on from it.

        Raises:
            UserError: a loss or gradient is not finite, or the training has collapsed.
            Stopped: the stage was told to stop.
        """
        params, curves, score = self.trainer.params, self.curves, self.trainer.task.score
        left, own = range(curves.step, params.steps), distributed.rank_slice(params.batch)
        batches = training_batches(self.training, params, left, own)
        steps = progress.bar(batches, "train", params.steps, "step")
        steps.n = steps.initial = curves.step
        with stop.at_safe_points():
            try:
                for batch in steps:
                    if curves.step % params.validate_every == 0:
                        self.validate()
                        steps.set_postfix_str(f"val {METRICS[score].show(curves.scores[-1][score])}", refresh=False)
                    curves.add(self.trainer.step(curves.step, batch))
                    if curves.step % params.log_every == 0:
                        self.log_point()
                    if curves.step % params.checkpoint_every == 0 or curves.step == params.steps:
                        self.save()
                    distributed.check_stop(self.trainer.device)
                self.validate()
            except (stop.Stopped, OSError):
                self.save()
                raise
            if curves.pending:
                self.log_point()

    def validate(self) -> None:
        """Add the mean score over all val pairs to the scores, and show some of them side by side as a picture.

        At step 0 that is of the prior, or of the model of `train.init`.
        """
        scores: list[np.ndarray] = []
        rows: list[list[np.ndarray]] = []
        step, task = self.curves.step, self.trainer.task
        shown = set(grid.evenly_spaced(range(len(self.validation)), self.trainer.params.samples))
        count = len(self.validation)
        for first in range(0, count, VALIDATED):
            stop.check()
            indices = range(first, min(first + VALIDATED, count))
            validated = task.validate(self.trainer.ema, self.validation, indices)
            scores.append(validated.scores)
            rows += [row for index, row in zip(indices, validated.pictures, strict=True) if index in shown]
        score = {"step": step, task.score: float(np.nanmean(np.concatenate(scores)))}
        figure = grid.image_grid(rows, [*task.shown])
        path = self.picture_path(step)
        with files.atomic_write(path) as partial:
            figure.save(partial)
        digest = sha256(path.read_bytes()).hexdigest()
        self.tracked.points([name_for_mlflow("val", score)])
        self.tracked.picture("restored", np.asarray(figure), step)
        self.curves.scores.append(score)
        self.curves.pictures[path.name] = digest

    def first_and_last_score(self) -> tuple[float, float]:
        """On val, by what the task is scored by."""
        name, scores = self.trainer.task.score, self.curves.scores
        return scores[0][name], scores[-1][name]

    def picture_path(self, step: int) -> Path:
        """Where the restored val pictures of a step lie."""
        return self.folder / f"step-{step:07}.png"

    def log_point(self) -> None:
        """Add a point to the losses, in MLflow too.

        Raises:
            UserError: as `raise_if_diverged` does.
        """
        self.raise_if_diverged()
        self.curves.add_point()
        self.tracked.points([name_for_mlflow("train", self.curves.losses[-1])])
        self.raise_if_diverged()

    def save(self) -> None:
        """Save a checkpoint of where the training is.

        Raises:
            UserError: as `raise_if_diverged` does; nothing is saved then.
        """
        state = self.trainer.state_dict()
        self.raise_if_diverged(state)
        numbers, pending = self.curves.state_dict()
        checkpoint.save(self.folder, self.curves.step, state | {"pending": pending}, numbers)

    def raise_if_diverged(self, state: dict[str, Tensor] | None = None) -> None:
        """Refuse to go on where no good can come of it. The curves so far stay beside the checkpoints.

        Args:
            state: of the trainer, where its tensors are to be looked at too.

        Raises:
            UserError: with the diagnosis, its step and the photos of that step's batch.
        """
        found = diagnosis.find_not_finite(self.curves) or diagnosis.find_collapse(self.curves)
        if not found and (broken := diagnosis.find_broken_tensor(state or {})):
            network = "discriminator" if broken.startswith("discriminator") else "generator"
            found = self.curves.step, f"{broken} is not finite; {diagnosis.SLOWER[network]}"
        if not found:
            return
        step, reason = found
        losses, scores = self.curves.tables()
        losses.to_csv(self.folder / "losses.csv", index=False)
        scores.to_csv(self.folder / "validation.csv", index=False)
        params, image_ids = self.trainer.params, self.training.column("image_id")
        samples = sample_indices(step - 1, len(self.training), params.batch, params.seed)
        photos = ", ".join(str(image_ids[index]) for index, _ in samples)
        checkpoints = checkpoint.list_checkpoints(self.folder)
        raise UserError(
            f"train: step {step}: {reason} (image ids of the batch: {photos}; "
            f"last good checkpoint: {checkpoints[0] if checkpoints else 'none'}; curves: {self.folder}/losses.csv)"
        )


def name_for_mlflow(prefix: str, point: dict[str, float]) -> tuple[int, dict[str, float]]:
    """A point of a curve: its step, and its values by their names in MLflow."""
    return int(point["step"]), {f"{prefix}/{name}": value for name, value in point.items() if name != "step"}
