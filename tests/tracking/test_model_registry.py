import pytest

from pipeline.params import Champion
from pipeline.tracking import model_registry


@pytest.fixture
def champion(store) -> str:
    store.client.create_registered_model(model_registry.NAME)
    run_id = scored(store, 30.0)
    store.client.create_model_version(model_registry.NAME, store.client.get_run(run_id).info.artifact_uri, run_id)
    store.client.set_registered_model_alias(model_registry.NAME, model_registry.ALIAS, "1")
    return run_id


def scored(store, psnr, pairs="c0ffee.dir", **tags):
    run_id = store.client.create_run(store.rows, tags={"digest.data/pairs": pairs} | tags).info.run_id
    store.client.log_metric(run_id, "evaluate/psnr", psnr)
    return run_id


@pytest.mark.parametrize(("psnr", "margin", "expected"), [(30.1, 0.0, True), (30.0, 0.0, False), (30.1, 0.2, False)])
def test_a_model_becomes_the_champion_when_it_is_better_by_the_margin(psnr, margin, expected, store, champion):
    better, why = model_registry.improves(store, scored(store, psnr), Champion(metric="psnr", margin=margin))
    assert better == expected
    assert why == f"psnr {psnr:.4f} against 30.0000 of version 1"


def test_the_champion_is_chosen_by_the_metric_that_the_parameters_name(store, champion):
    other = scored(store, 20.0)
    for run_id, ssim in ((champion, 0.8), (other, 0.9)):
        store.client.log_metric(run_id, "evaluate/ssim", ssim)
    better, why = model_registry.improves(store, other, Champion(metric="ssim", margin=0.0))
    assert better
    assert why == "ssim 0.9000 against 0.8000 of version 1"


def test_a_model_that_is_not_better_is_registered_and_the_champion_stays(store, champion, tmp_path):
    worse = scored(store, 29.0)
    store.client.create_model_version(model_registry.NAME, store.client.get_run(worse).info.artifact_uri, worse)
    model_registry.register(store, worse, tmp_path, Champion(metric="psnr", margin=0.0))
    assert store.client.get_run(worse).data.tags["model.version"] == "2"
    assert int(store.client.get_model_version_by_alias(model_registry.NAME, model_registry.ALIAS).version) == 1


def test_on_other_test_pairs_nothing_can_be_said(store, champion):
    better, why = model_registry.improves(store, scored(store, 40.0, "decaf.dir"), Champion(metric="psnr", margin=0.0))
    assert not better
    assert "other test pairs" in why


def test_where_there_is_no_champion_the_first_model_is(store):
    assert model_registry.improves(store, scored(store, 5.0), Champion(metric="psnr", margin=0.0))[0]


def test_a_registration_that_was_cut_off_is_finished(store, champion, tmp_path):
    better = scored(store, 31.0)
    store.client.create_model_version(model_registry.NAME, store.client.get_run(better).info.artifact_uri, better)
    model_registry.register(store, better, tmp_path, Champion(metric="psnr", margin=0.0))
    assert int(store.client.get_model_version_by_alias(model_registry.NAME, model_registry.ALIAS).version) == 2


def test_a_model_with_the_same_bytes_is_no_new_version(store, tmp_path):
    made = scored(store, 30.0, **{model_registry.MODEL: "decaf.dir"})
    store.client.create_registered_model(model_registry.NAME)
    store.client.create_model_version(model_registry.NAME, store.client.get_run(made).info.artifact_uri, made)
    again = scored(store, 30.0, **{model_registry.MODEL: "decaf.dir"})
    for run_id in (made, again, again):
        model_registry.register(store, run_id, tmp_path, Champion(metric="psnr", margin=0.0))
    (version,) = store.client.search_model_versions(f"name = '{model_registry.NAME}'")
    assert str(version.version) == store.client.get_run(again).data.tags["model.version"]
    assert store.client.get_model_version_by_alias(model_registry.NAME, model_registry.ALIAS).run_id == made


def deleted_champion(store):
    return store.client.create_model_version(model_registry.NAME, "file:///model", "no such run").version


def champion_without_scores(store):
    info = store.client.create_run(store.rows, tags={"digest.data/pairs": "c0ffee.dir"}).info
    return store.client.create_model_version(model_registry.NAME, info.artifact_uri, info.run_id).version


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (deleted_champion, "the run of version 2 was deleted; to prefer the new one, move the alias"),
        (champion_without_scores, "one of the two has no psnr; to prefer the new one, move the alias"),
    ],
)
def test_a_champion_that_cannot_be_compared_stays(other, why, store, champion):
    store.client.set_registered_model_alias(model_registry.NAME, model_registry.ALIAS, other(store))
    better, reason = model_registry.improves(store, scored(store, 40.0), Champion(metric="psnr", margin=0.0))
    assert not better
    assert reason == why
