"""Ten processes that make rows of experiments, models and champions on one server at once; to be run by a test.

python -m tests.tracking.race

Each result is made by two of them, and each training may become the row of two results.
"""

import multiprocessing
import random

from pipeline import lineage
from pipeline.params import Champion
from pipeline.tracking import experiment_run, model_registry, server_lock
from pipeline.tracking.client import connect
from pipeline.tracking.live_run import MADE

PROCESSES, EACH = 10, 20
RESULTS = PROCESSES * EACH // 2
RULE = Champion(metric="psnr", margin=0.0)


def stages(result: int) -> lineage.Stages:
    """Of a result; two results, which differ in their evaluation, have one training."""
    train = {"cmd": f"train {result // 2}", "params": {"params.yaml": {"train": {"lr": 0.1}}}}
    train["outs"] = [{"path": "data/model", "md5": f"{result // 2:04}.dir"}]
    return {"train": train, "evaluate": {"params": {"params.yaml": {"evaluate": {"rows": result}}}}}


def psnr(result: int) -> float:
    """The scores are in no order, and all are different."""
    return 20 + result * 37 % RESULTS / 10


def train(store, result: int) -> None:
    tags = {"training": lineage.training_key(stages(result)), MADE: f"{result // 2:04}.dir", "fingerprint": "x"}
    run_id = store.client.create_run(store.rows, tags=tags).info.run_id
    store.client.set_terminated(run_id)


def evaluate(store, result: int) -> None:
    """As `experiment_run.complete`, with a model that is no more than a name."""
    digest = lineage.digests(stages(result))["data/model"]
    with server_lock.exclusive(store.client, digest):
        run = experiment_run.claim_run(store, stages(result), {})
        if run.data.tags.get("complete") == "true":
            return
        run_id = run.info.run_id
        store.client.log_metric(run_id, "evaluate/psnr", psnr(result))
        store.client.set_tag(run_id, "digest.data/pairs", "c0ffee.dir")
        source = store.client.get_run(run_id).info.artifact_uri
        with server_lock.exclusive(store.client, model_registry.NAME):
            if not model_registry.is_there(store, model_registry.NAME):
                store.client.create_registered_model(model_registry.NAME)
        store.client.create_model_version(model_registry.NAME, source, run_id)
        model_registry.register(store, run_id, None, RULE)
        store.client.set_tag(run_id, "complete", "true")


def work(number: int, together) -> None:
    together.wait()
    store = connect()  # of a server that has no experiments yet
    results = [(number // 2 * EACH + place) % RESULTS for place in range(EACH)]
    for result in results:
        if number % 2 == 0 and result % 2 == 0:
            train(store, result)
    together.wait()
    random.Random(number).shuffle(results)
    for result in results:
        evaluate(store, result)


if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")  # MLflow is imported once
    together = fork.Barrier(PROCESSES)
    processes = [fork.Process(target=work, args=(number, together)) for number in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    raise SystemExit(max(process.exitcode for process in processes))
