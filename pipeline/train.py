"""Stage 3: train a generator against a discriminator on the pairs."""

from pipeline import command

if __name__ == "__main__":
    command.read_stage("train", __doc__)

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

from pipeline import files, lineage, outs, progress, sheet, stop
from pipeline.errors import UserError, one_line_errors
from pipeline.gan import checkpoint, device, diagnosis, model, ranks
from pipeline.gan.batches import draws_of, training_batches
from pipeline.gan.curves import Curves
from pipeline.gan.trainer import Trainer
from pipeline.pairs import Pairs
from pipeline.params import Params, Train, load
from pipeline.quality.metrics import psnr
from pipeline.tracking import live, store
from pipeline.tracking.live import Run, Untracked

PAIRS = Path("data/pairs")
SCRATCH = Path("models/scratch")
VALIDATED = 16  # val pairs at once
OUTS = ("data/model", "metrics/train.json", "metrics/losses.csv", "metrics/validation.csv", "metrics/restored")


def main() -> None:
    """Read `data/pairs`; write the model, its curves and the restored val pictures."""
    load()  # it is refused here once, not by each process
    processes = ranks.asked_for()
    if processes > 1:
        ranks.start(processes, work)
    else:
        work()


def work() -> None:
    """The training, or this process's share of it.

    Raises:
        UserError: the batch cannot be shared out evenly.
    """
    params = load()
    place = device.pick(params.train.deterministic)
    with ranks.joined(place):
        ranks.share(params.train.batch)
        if ranks.rank() == 0:
            lead(params, place)
        else:
            follow(params.train, place)


def follow(train: Train, place: torch.device) -> None:
    """Take every step on this process's share of the batches; rank 0 does all else."""
    trainer, training = beginning(train, place), Pairs(PAIRS, "train")
    first, tensors = ranks.from_first(None)
    if tensors:
        trainer.restore(tensors)
    steps = range(first, train.steps)
    batches = training_batches(training, train.batch, train.crop, train.seed, steps, ranks.share(train.batch))
    with stop.at_safe_points():
        for step, batch in zip(steps, batches, strict=True):
            trainer.step(step, batch)
            ranks.check_stop(place)


def lead(params: Params, place: torch.device) -> None:
    """Train, validate, keep checkpoints, log, and write the outs."""
    store.prepare(params.tracking.required)
    training, validation = (opened(split, params.corrupt.image_size) for split in ("train", "val"))
    arithmetic = device.arithmetic(place) | {"processes": str(ranks.count())}
    folder = checkpoint.trainings() / lineage.fingerprint("train", deciding(params) | arithmetic)
    checkpoint.discard_ended(lineage.recorded_training())
    with checkpoint.alone(folder):
        trainer = beginning(params.train, place)
        curves = resume(trainer, folder)
        run_file = folder / "mlflow-run"
        earlier = run_file.read_text(errors="replace") if run_file.exists() else ""
        with live.start(folder.name, arithmetic, earlier, params.tracking.required) as run:
            if run.run_id:
                run_file.write_text(run.run_id)
            log_so_far(run, curves, folder)
            fit(trainer, curves, training, validation, params, folder, run)
            write_outs(trainer, curves, params, folder)
            stages = lineage.here("train")
            run.tag(live.MADE, lineage.digests(stages).get("data/model", ""))
        if params.train.schedule != "constant":  # a longer training goes on from this one
            checkpoint.end(folder, lineage.trained(stages))
    last, first = curves.scores[-1]["psnr"], curves.scores[0]["psnr"]
    print(f"val PSNR {last:.2f} dB, at the start {first:.2f} dB; model in data/model")


def opened(split: str, side: int) -> Pairs:
    """The pairs of a split.

    Raises:
        UserError: there are none, or their pictures are no squares of this side in px.
    """
    pairs = Pairs(PAIRS, split)
    if pairs.size != (side, side):
        found = " x ".join(map(str, pairs.size))
        raise UserError(f"{PAIRS}: pictures of {found} px; corrupt.image_size is {side}; run dvc repro corrupt")
    return pairs


def beginning(train: Train, place: torch.device) -> Trainer:
    """The networks at step 0: random, or the generator of `train.init`, perhaps on another prior.

    Raises:
        UserError: that generator has another shape than `train.generator`.
    """
    trainer = Trainer(train, place)
    if Path(train.init) != SCRATCH:
        trainer.start_from(model.load(Path(train.init), place, train.generator.model_dump(exclude={"prior"})))
    return trainer


def deciding(params: Params) -> dict:
    """The parameters that decide what a checkpoint holds. Under a constant schedule the length does not."""
    free = {"checkpoint_every"} | ({"steps"} if params.train.schedule == "constant" else set())
    return params.train.model_dump(exclude=free)


def resume(trainer: Trainer, folder: Path) -> Curves:
    """Go on from the last good checkpoint, where there is one."""
    steps = trainer.params.steps
    found = checkpoint.newest(folder, steps, partial(check_fit, trainer, folder))
    if not found:
        print(f"starts at step 0 of {steps}", flush=True)
        ranks.from_first((0, None))
        return Curves()
    path, tensors, numbers = found
    recent = tensors.pop("recent").to(trainer.device)
    ranks.from_first((numbers["step"], tensors))
    trainer.restore(tensors)
    curves = Curves.unpack(numbers, recent)
    print(f"continues at step {curves.step} of {steps}, from {path}", flush=True)
    return curves


def check_fit(trainer: Trainer, folder: Path, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Refuse a checkpoint that does not belong to this training, or whose pictures are not beside it as they were.

    Raises:
        ValueError, RuntimeError: with what is wrong.
    """
    state = {name: tensor for name, tensor in tensors.items() if name != "recent"}
    curves = Curves.unpack(numbers, tensors.get("recent", torch.empty(0)))
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
    share = ranks.share(train.batch)
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
                    end_point(curves, training, train, folder, run)
                if curves.step % train.checkpoint_every == 0 or curves.step == train.steps:
                    keep(trainer, curves, training, folder)
                ranks.check_stop(trainer.device)
            validate(trainer.average, curves, validation, params, folder, run)
        except (stop.Stopped, OSError):
            keep(trainer, curves, training, folder)
            raise
        if curves.recent:
            end_point(curves, training, train, folder, run)


def end_point(curves: Curves, training: Pairs, train: Train, folder: Path, run: Run | Untracked) -> None:
    """Add a point to the losses, in MLflow too."""
    examine(curves, training, train, folder)
    curves.point()
    run.points([in_mlflow("train", curves.losses[-1])])
    examine(curves, training, train, folder)


def keep(trainer: Trainer, curves: Curves, training: Pairs, folder: Path) -> None:
    """Save a checkpoint of where the training is, if all is well."""
    state = trainer.state()
    examine(curves, training, trainer.params, folder, state)
    numbers, recent = curves.pack()
    checkpoint.save(folder, curves.step, state | {"recent": recent}, numbers)


def examine(
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
    photos = [image_ids[row] for row, _ in draws_of(step - 1, len(training), train.batch, train.seed)]
    kept = checkpoint.kept(folder)
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
    shown = set(sheet.spread(range(len(pairs)), params.train.samples))
    for number, (targets, images, masks) in enumerate(pairs.batches(VALIDATED)):
        stop.check()
        restored = model.restore(generator, images, masks)
        ratios.append(psnr(restored, targets))
        sides = zip(images, restored, targets, strict=True)
        first = number * VALIDATED
        rows += [list(row) for index, row in enumerate(sides, first) if index in shown]
    score = {"step": curves.step, "psnr": float(np.concatenate(ratios).mean())}
    figure = sheet.grid(rows, ["corrupted", "restored", "original"])
    path = picture(folder, curves.step)
    with files.whole(path) as part:
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
    with outs.complete(*OUTS) as (model_out, summary_out, losses_out, scores_out, pictures_out):
        losses.to_csv(losses_out, index=False)
        scores.to_csv(scores_out, index=False)
        pd.Series({"val_psnr": scores.psnr.iloc[-1], "first_val_psnr": scores.psnr.iloc[0]}).to_json(summary_out)
        pictures_out.mkdir()
        for step in scores.step:
            shutil.copy(picture(folder, step), pictures_out)
        model.save(model_out, trainer.average, model_config(params))


def model_config(params: Params) -> dict:
    """What a reader of the weights must know."""
    data = lineage.digests(lineage.before("train"))
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
