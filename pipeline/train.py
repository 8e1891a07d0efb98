"""Stage 3: train a generator against a discriminator on the pairs."""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read_stage("train", __doc__)

import shutil
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn

from pipeline import lineage
from pipeline.datasets.pairs import Pairs
from pipeline.images import grid
from pipeline.metrics.image_quality import psnr
from pipeline.networks import device, weights
from pipeline.params import Params, Train, load
from pipeline.runtime import files, outputs, progress, stop
from pipeline.runtime.errors import UserError, one_line_errors
from pipeline.tracking import client, live_run
from pipeline.tracking.live_run import Run, Untracked
from pipeline.training import checkpoint, diagnosis, distributed
from pipeline.training.batches import sample_indices, training_batches
from pipeline.training.curves import Curves
from pipeline.training.trainer import Trainer

PAIRS = Path("data/pairs")
UNTRAINED = Path("models/untrained")
VALIDATED = 16  # val pairs at once
OUTS = ("data/model", "metrics/train.json", "metrics/losses.csv", "metrics/validation.csv", "metrics/restored")


def main() -> None:
    """Read `data/pairs`; write the model, its curves and the restored val pictures."""
    load()  # it is refused here once, not by each process
    processes = distributed.processes()
    if processes > 1:
        distributed.start_processes(processes, work)
    else:
        work()


def work() -> None:
    """The training, or this process's share of it.

    Raises:
        UserError: the batch cannot be shared out evenly.
    """
    params = load()
    place = device.resolve_device(params.train.deterministic)
    with distributed.process_group(place):
        distributed.rank_slice(params.train.batch)
        if distributed.rank() == 0:
            train_rank0(params, place)
        else:
            train_worker(params.train, place)


def train_worker(train: Train, place: torch.device) -> None:
    """Take every step on this process's share of the batches; rank 0 does all else."""
    trainer, training = build_trainer(train, place), Pairs(PAIRS, "train")
    first, tensors = distributed.broadcast_object(None)
    if tensors:
        trainer.restore(tensors)
    steps = range(first, train.steps)
    batches = training_batches(
        training, train.batch, train.crop, train.seed, steps, distributed.rank_slice(train.batch)
    )
    with stop.at_safe_points():
        for step, batch in zip(steps, batches, strict=True):
            trainer.step(step, batch)
            distributed.check_stop(place)


def train_rank0(params: Params, place: torch.device) -> None:
    """Train, validate, keep checkpoints, log, and write the outs."""
    client.prepare(params.tracking.required)
    training, validation = (open_pairs(split, params.corrupt.image_size) for split in ("train", "val"))
    arithmetic = device.numeric_environment(place) | {"processes": str(distributed.world_size())}
    folder = checkpoint.trainings() / lineage.fingerprint("train", fingerprint_params(params) | arithmetic)
    checkpoint.discard_ended(lineage.recorded_training())
    with checkpoint.exclusive_folder(folder):
        trainer = build_trainer(params.train, place)
        curves = resume(trainer, folder)
        run_file = folder / "mlflow-run"
        earlier = run_file.read_text(errors="replace") if run_file.exists() else ""
        with live_run.start(folder.name, arithmetic, earlier, params.tracking.required) as run:
            if run.run_id:
                run_file.write_text(run.run_id)
            log_so_far(run, curves, folder)
            fit(trainer, curves, training, validation, params, folder, run)
            write_outs(trainer, curves, params, folder)
            stages = lineage.stages_with_running("train")
            run.tag(live_run.MADE, lineage.digests(stages).get("data/model", ""))
        if params.train.schedule != "constant":  # a longer training goes on from this one
            checkpoint.keep_last(folder, lineage.trained(stages))
    last, first = curves.scores[-1]["psnr"], curves.scores[0]["psnr"]
    print(f"val PSNR {last:.2f} dB, at the start {first:.2f} dB; model in data/model")


def open_pairs(split: str, side: int) -> Pairs:
    """The pairs of a split.

    Raises:
        UserError: there are none, or their pictures are no squares of this side in px.
    """
    pairs = Pairs(PAIRS, split)
    if pairs.size != (side, side):
        found = " x ".join(map(str, pairs.size))
        raise UserError(f"{PAIRS}: pictures of {found} px; corrupt.image_size is {side}; run dvc repro corrupt")
    return pairs


def build_trainer(train: Train, place: torch.device) -> Trainer:
    """The networks at step 0: random, or the generator of `train.init`, perhaps on another prior.

    Raises:
        UserError: that generator has another shape than `train.generator`.
    """
    trainer = Trainer(train, place)
    if Path(train.init) != UNTRAINED:
        trainer.start_from(weights.load(Path(train.init), place, train.generator.model_dump(exclude={"prior"})))
    return trainer


def fingerprint_params(params: Params) -> dict:
    """The parameters that decide what a checkpoint holds. Under a constant schedule the length does not."""
    free = {"checkpoint_every"} | ({"steps"} if params.train.schedule == "constant" else set())
    return params.train.model_dump(exclude=free)


def resume(trainer: Trainer, folder: Path) -> Curves:
    """Go on from the last good checkpoint, where there is one."""
    steps = trainer.params.steps
    found = checkpoint.newest(folder, steps, partial(check_fit, trainer, folder))
    if not found:
        print(f"starts at step 0 of {steps}", flush=True)
        distributed.broadcast_object((0, None))
        return Curves()
    path, tensors, numbers = found
    recent = tensors.pop("recent").to(trainer.device)
    distributed.broadcast_object((numbers["step"], tensors))
    trainer.restore(tensors)
    curves = Curves.from_state_dict(numbers, recent)
    print(f"continues at step {curves.step} of {steps}, from {path}", flush=True)
    return curves


def check_fit(trainer: Trainer, folder: Path, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Refuse a checkpoint that does not belong to this training, or whose pictures are not beside it as they were.

    Raises:
        ValueError, RuntimeError: with what is wrong.
    """
    state = {name: tensor for name, tensor in tensors.items() if name != "recent"}
    curves = Curves.from_state_dict(numbers, tensors.get("recent", torch.empty(0)))
    if {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()} != trainer.layout(curves.step):
        raise ValueError("its tensors are not those of this training")
    if name := diagnosis.broken(state):
        raise ValueError(f"{name} is not finite")
    trainer.check_rng(state)
    if curves.pictures.keys() != {picture(folder, point["step"]).name for point in curves.scores}:
        raise ValueError("its pictures are not those of its scores")
    for name, digest in curves.pictures.items():
        if sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise ValueError(f"{folder / name} is damaged")


def log_so_far(run: Run | Untracked, curves: Curves, folder: Path) -> None:
    """Give the run the points and pictures of a resumed training that it lacks."""
    run.points([in_mlflow("train", point) for point in curves.losses])
    run.points([in_mlflow("val", point) for point in curves.scores])
    for point in curves.scores:
        with Image.open(picture(folder, point["step"])) as figure:
            run.picture("restored", np.asarray(figure), point["step"])


def in_mlflow(prefix: str, point: dict) -> tuple[int, dict[str, float]]:
    """A point of a curve: its step, and its metrics by their names in MLflow."""
    return point["step"], {f"{prefix}/{name}": value for name, value in point.items() if name != "step"}


def fit(
    trainer: Trainer,
    curves: Curves,
    training: Pairs,
    validation: Pairs,
    params: Params,
    folder: Path,
    run: Run | Untracked,
) -> None:
    """Train to the last step; `curves` grow, checkpoints and pictures go to `folder`.

    The val pictures of a step are restored when training goes on from it, or ends. So a checkpoint is the same whether
    the training ends at its step or not, and a longer training can go on from it.

    Raises:
        UserError: a loss or gradient is not finite, or the training has collapsed.
        Stopped: the stage was told to stop.
    """
    train = params.train
    share = distributed.rank_slice(train.batch)
    batches = training_batches(training, train.batch, train.crop, train.seed, range(curves.step, train.steps), share)
    steps = progress.bar(batches, "train", train.steps, "step")
    steps.n = steps.initial = curves.step
    with stop.at_safe_points():
        try:
            for batch in steps:
                if curves.step % train.validate_every == 0:
                    validate(trainer.average, curves, validation, params, folder, run)
                    steps.set_postfix_str(f"val {curves.scores[-1]['psnr']:.2f} dB", refresh=False)
                curves.add(trainer.step(curves.step, batch))
                if curves.step % train.log_every == 0:
                    log_point(curves, training, train, folder, run)
                if curves.step % train.checkpoint_every == 0 or curves.step == train.steps:
                    save_checkpoint(trainer, curves, training, folder)
                distributed.check_stop(trainer.device)
            validate(trainer.average, curves, validation, params, folder, run)
        except (stop.Stopped, OSError):
            save_checkpoint(trainer, curves, training, folder)
            raise
        if curves.pending:
            log_point(curves, training, train, folder, run)


def log_point(curves: Curves, training: Pairs, train: Train, folder: Path, run: Run | Untracked) -> None:
    """Add a point to the losses, in MLflow too."""
    raise_if_diverged(curves, training, train, folder)
    curves.point()
    run.points([in_mlflow("train", curves.losses[-1])])
    raise_if_diverged(curves, training, train, folder)


def save_checkpoint(trainer: Trainer, curves: Curves, training: Pairs, folder: Path) -> None:
    """Save a checkpoint of where the training is, if all is well."""
    state = trainer.state()
    raise_if_diverged(curves, training, trainer.params, folder, state)
    numbers, recent = curves.state_dict()
    checkpoint.save(folder, curves.step, state | {"recent": recent}, numbers)


def raise_if_diverged(
    curves: Curves, training: Pairs, train: Train, folder: Path, state: dict[str, Tensor] | None = None
) -> None:
    """Refuse to go on where no good can come of it. The curves so far stay beside the checkpoints.

    Raises:
        UserError: with the diagnosis, its step and the photos of that step's batch.
    """
    found = diagnosis.not_finite(curves) or diagnosis.collapse(curves)
    if not found and (broken := diagnosis.broken(state or {})):
        network = "discriminator" if broken.startswith("discriminator") else "generator"
        found = curves.step, f"{broken} is not finite; {diagnosis.SLOWER[network]}"
    if not found:
        return
    step, reason = found
    losses, scores = curves.tables()
    losses.to_csv(folder / "losses.csv", index=False)
    scores.to_csv(folder / "validation.csv", index=False)
    image_ids = training.column("image_id")
    photos = [image_ids[row] for row, _ in sample_indices(step - 1, len(training), train.batch, train.seed)]
    kept = checkpoint.list_checkpoints(folder)
    raise UserError(
        f"train: step {step}: {reason} (image ids of the batch: {', '.join(map(str, photos))}; "
        f"last good checkpoint: {kept[0] if kept else 'none'}; curves: {folder}/losses.csv)"
    )


def validate(
    generator: nn.Module, curves: Curves, pairs: Pairs, params: Params, folder: Path, run: Run | Untracked
) -> None:
    """Add the PSNR over all val pairs to the scores, and show some of them side by side as a picture.

    At step 0 that is the prior, or the model of `train.init`.
    """
    ratios: list[np.ndarray] = []
    rows: list[list[np.ndarray]] = []
    shown = set(grid.evenly_spaced(range(len(pairs)), params.train.samples))
    for number, (targets, images, masks) in enumerate(pairs.batches(VALIDATED)):
        stop.check()
        restored = weights.restore(generator, images, masks)
        ratios.append(psnr(restored, targets))
        sides = zip(images, restored, targets, strict=True)
        first = number * VALIDATED
        rows += [list(row) for index, row in enumerate(sides, first) if index in shown]
    score = {"step": curves.step, "psnr": float(np.concatenate(ratios).mean())}
    figure = grid.image_grid(rows, ["corrupted", "restored", "original"])
    path = picture(folder, curves.step)
    with files.atomic_write(path) as part:
        figure.save(part)
    digest = sha256(path.read_bytes()).hexdigest()
    run.points([in_mlflow("val", score)])
    run.picture("restored", np.asarray(figure), curves.step)
    curves.scores.append(score)
    curves.pictures[path.name] = digest


def picture(folder: Path, step: int) -> Path:
    """Where the restored val pictures of a step lie while the training runs."""
    return folder / f"step-{step:07}.png"


def write_outs(trainer: Trainer, curves: Curves, params: Params, folder: Path) -> None:
    """The model, the curves and the pictures, all at once."""
    losses, scores = curves.tables()
    with outputs.complete_outs(*OUTS) as (model_out, summary_out, losses_out, scores_out, pictures_out):
        losses.to_csv(losses_out, index=False)
        scores.to_csv(scores_out, index=False)
        pd.Series({"val_psnr": scores.psnr.iloc[-1], "first_val_psnr": scores.psnr.iloc[0]}).to_json(summary_out)
        pictures_out.mkdir()
        for step in scores.step:
            shutil.copy(picture(folder, step), pictures_out)
        weights.save(model_out, trainer.average, model_config(params))


def model_config(params: Params) -> dict:
    """What a reader of the weights must know."""
    data = lineage.digests(lineage.upstream_stages("train"))
    return {
        "task": "restoration",
        "generator": params.train.generator.model_dump(),
        "image_size": params.corrupt.image_size,
        "init": params.train.init,
        "trained_on": {path: data[path] for path in ("data/coco", "data/pairs") if path in data},
    }


if __name__ == "__main__":
    with one_line_errors():
        main()
