"""Stage 3: train a generator against a discriminator, or a detector, on the pairs."""

from pipeline.runtime import command_line

if __name__ == "__main__":
    command_line.read_stage("train", __doc__)

import shutil
from pathlib import Path

import pandas as pd
import torch

from pipeline import lineage
from pipeline.corruptions import fresh_pairs
from pipeline.corruptions.fresh_pairs import FreshPairs
from pipeline.datasets.pairs import Pairs
from pipeline.metrics.registry import METRICS
from pipeline.networks import weights
from pipeline.networks.device import numeric_environment, resolve_device
from pipeline.networks.registry import GENERATORS
from pipeline.params import Params, Train, load
from pipeline.runtime import outputs, stop
from pipeline.runtime.errors import UserError, one_line_errors
from pipeline.tracking import client, live_run
from pipeline.training import checkpoint, distributed
from pipeline.training.batches import training_batches
from pipeline.training.run import TrainingRun
from pipeline.training.trainer import Trainer

PAIRS, PHOTOS = Path("data/pairs"), Path("data/coco")
UNTRAINED = Path("models/untrained")
OUTS = ("data/model", "metrics/train.json", "metrics/losses.csv", "metrics/validation.csv", "metrics/restored")


def main() -> None:
    """Read `data/pairs`; write the model, its curves and the restored val pictures."""
    load()  # it is refused here once, not by each process
    distributed.launch(train)


def train() -> None:
    """The training, or what this process does of it.

    Raises:
        UserError: the batch cannot be shared out evenly.
    """
    params = load()
    device = resolve_device(params.train.deterministic)
    with distributed.process_group(device):
        distributed.rank_slice(params.train.batch)
        if distributed.rank() == 0:
            train_rank0(params, device)
        else:
            train_worker(params.train, device)


def train_rank0(params: Params, device: torch.device) -> None:
    """Train, validate, save checkpoints, log, and write the outs."""
    client.prepare(params.tracking.required)
    training, validation = fresh_pairs.open_pairs(PAIRS, "train", PHOTOS), Pairs(PAIRS, "val")
    for pairs in (training, validation):
        check_side(pairs, params.corrupt.image_size)
    environment = numeric_environment(device) | {"processes": str(distributed.world_size())}
    folder = checkpoint.training_folder(params.train, environment)
    checkpoint.discard_ended(lineage.recorded_training())
    with checkpoint.exclusive_folder(folder):
        trainer = build_trainer(params.train, device)
        run_file = folder / "mlflow-run"
        earlier = run_file.read_text(errors="replace") if run_file.exists() else ""
        with live_run.start(folder.name, environment, earlier, params.tracking.required) as tracked:
            if tracked.run_id:
                run_file.write_text(tracked.run_id)
            run = TrainingRun(trainer, training, validation, folder, tracked)
            run.resume()
            run.fit()
            write_outs(run, params)
            stages = lineage.stages_with_running("train")
            tracked.tag(live_run.MADE, lineage.digests(stages).get("data/model", ""))
        if params.train.schedule != "constant":  # a longer training goes on from this one
            checkpoint.mark_ended(folder, lineage.training_name(stages))
    first, last = run.first_and_last_score()
    metric = METRICS[trainer.task.score]
    print(f"val {metric.label} {metric.show(last)}, at the start {metric.show(first)}; model in data/model")


def train_worker(params: Train, device: torch.device) -> None:
    """Take every step on this process's slice of the batches; rank 0 does all else."""
    trainer, training = build_trainer(params, device), fresh_pairs.open_pairs(PAIRS, "train", PHOTOS)
    first, state = distributed.broadcast_object(None)
    if state:
        trainer.load_state_dict(state)
    steps, own = range(first, params.steps), distributed.rank_slice(params.batch)
    batches = training_batches(training, params, steps, own)
    with stop.at_safe_points():
        for step, batch in zip(steps, batches, strict=True):
            trainer.step(step, batch)
            distributed.check_stop(device)


def check_side(pairs: Pairs | FreshPairs, side: int) -> None:
    """Refuse pairs whose pictures are no squares of this side in px.

    Raises:
        UserError: they are not.
    """
    if pairs.size != (side, side):
        found = " x ".join(map(str, pairs.size))
        raise UserError(f"{PAIRS}: pictures of {found} px; corrupt.image_size is {side}; run dvc repro corrupt")


def build_trainer(params: Train, device: torch.device) -> Trainer:
    """The networks at step 0: random, or the generator of `train.init`, perhaps on another prior.

    Raises:
        UserError: that generator has another shape than `train.generator`.
    """
    trainer = Trainer(params, device)
    if Path(params.init) != UNTRAINED:
        trainer.start_from(weights.load(Path(params.init), device, params.generator.model_dump(exclude={"prior"})))
    return trainer


def write_outs(run: TrainingRun, params: Params) -> None:
    """The model, the curves and the pictures, all at once."""
    losses, scores = run.curves.tables()
    with outputs.complete_outs(*OUTS) as (model_out, summary_out, losses_out, scores_out, pictures_out):
        losses.to_csv(losses_out, index=False)
        scores.to_csv(scores_out, index=False)
        first, last = run.first_and_last_score()
        name = run.trainer.task.score
        pd.Series({f"val_{name}": last, f"first_val_{name}": first}).to_json(summary_out)
        pictures_out.mkdir()
        for step in scores.step:
            shutil.copy(run.picture_path(step), pictures_out)
        weights.save(model_out, run.trainer.ema, model_config(params))


def model_config(params: Params) -> dict:
    """What a reader of the weights must know."""
    data = lineage.digests(lineage.upstream_stages("train"))
    return {
        "task": GENERATORS[params.train.generator.design].task,
        "generator": params.train.generator.model_dump(),
        "image_size": params.corrupt.image_size,
        "init": params.train.init,
        "trained_on": {path: data[path] for path in ("data/coco", "data/pairs") if path in data},
    }


if __name__ == "__main__":
    with one_line_errors():
        main()
