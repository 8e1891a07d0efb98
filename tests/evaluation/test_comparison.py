from pipeline.evaluation.baselines import BASELINES


def test_every_method_is_scored_on_every_pair_it_can_restore(comparison):
    methods = comparison.scores().groupby("image_id").method.apply(list)
    for_task = {task: [name for name in BASELINES if BASELINES[name].task == task] for task in ("restore", "superres")}
    assert methods[0] == methods[1] == [*for_task["restore"], "gan"]
    assert methods[2] == [*for_task["superres"], "gan"]
