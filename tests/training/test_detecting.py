import cv2
import numpy as np
import pytest
import torch
from torch import nn

from pipeline.corruptions.labels import DAMAGE
from pipeline.corruptions.registry import CORRUPTIONS
from pipeline.datasets import pairs
from pipeline.tasks import DAMAGES
from pipeline.training.batches import ANY, EITHER, classes_of, load_damage, training_batches
from pipeline.training.detecting import attempt, cross_entropy, validate
from pipeline.training.trainer import Trainer

CPU = torch.device("cpu")


@pytest.fixture
def detector_params(train_params):
    generator = train_params.generator.model_copy(update={"design": "detector"})
    return train_params.model_copy(update={"generator": generator, "muon_lr": 0.01})


def test_each_corruption_with_a_hole_is_a_damage():
    assert DAMAGE.keys() == {name for name, each in CORRUPTIONS.items() if not each.has_factors}
    assert {kind for kind in DAMAGE.values() if kind} == set(DAMAGES)
    assert {name for name, kind in DAMAGE.items() if not kind} == {
        name for name, each in CORRUPTIONS.items() if each.combines
    }


def test_the_damage_comes_by_its_number_and_the_picture_is_the_corrupted_one(ten_pairs):
    images, damage = load_damage(ten_pairs, 0, classes_of(ten_pairs), [(3, seed) for seed in range(60)])
    cover = 1 + DAMAGES.index("cover")
    assert set(np.unique(damage)) == {0, EITHER, cover}
    damaged = (damage == cover).any((1, 2))
    assert 32 <= damaged.sum() <= 52  # seven of ten
    assert images[damage == cover].mean() < 60  # black, where it is not faint
    assert images[~damaged].mean() > 100


def test_the_sound_pixels_that_touch_damage_may_be_either(ten_pairs):
    _, damage = load_damage(ten_pairs, 0, classes_of(ten_pairs), [(3, seed) for seed in range(20)])
    for classes in damage:
        near = cv2.dilate(((classes > 0) & (classes != EITHER)).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert np.array_equal(near, classes > 0)


def test_damage_is_faint_soft_or_grainy_in_some(ten_pairs):
    target, _, mask = ten_pairs.pictures(3)
    strengths, reaches, noise = [], [], []
    for seed in range(80):
        (image,), (classes,) = load_damage(ten_pairs, 0, classes_of(ten_pairs), [(3, seed)])
        found = (classes > 0) & (classes != EITHER)
        if found.any():
            strengths.append(1 - image[found].mean() / target[mask].mean())
            reaches.append(found.sum() / mask.sum())
            noise.append(np.diff(image[classes == 0].astype(float), axis=0).std())
    assert min(strengths) < 0.5 and max(strengths) > 0.95
    assert min(reaches) == 1 and 0.2 < np.mean(np.array(reaches) > 1.02) < 0.6  # soft damage reaches a little farther
    assert max(noise) > min(noise) + 4


def test_each_pair_is_of_its_own_kind_and_a_mixed_one_of_any(tmp_path):
    def made():
        for number, label in enumerate(["scratch", "mixed", "dust"]):
            target = np.full((32, 32, 3), 90, np.uint8)
            mask = np.zeros((32, 32), bool)
            mask[8:20, 6:25] = True
            corrupted = np.where(mask[..., None], np.uint8(0), target)
            encoded = [pairs.encode(picture) for picture in (target, corrupted, mask.astype(np.uint8) * 255)]
            yield pairs.Pair(number, 0, label, number, float(mask.mean()), 0.0, *encoded)

    pairs.write(tmp_path / "pairs", "train", made())
    store = pairs.Pairs(tmp_path / "pairs", "train")
    classes = classes_of(store)
    assert classes == [1 + DAMAGES.index("scratch"), ANY, 1 + DAMAGES.index("fleck")]
    _, damage = load_damage(store, 0, classes, [(index, seed) for index in range(3) for seed in range(10)])
    for index, one in enumerate(classes):
        assert set(np.unique(damage[10 * index : 10 * index + 10])) == {0, EITHER, one}


def test_some_crops_have_damage_and_some_have_none(ten_pairs):
    images, damage = load_damage(ten_pairs, 8, classes_of(ten_pairs), [(3, seed) for seed in range(60)])
    assert images.shape == (60, 8, 8, 3) and damage.shape == (60, 8, 8)
    assert 20 < damage.any((1, 2)).sum() < 50


def test_a_batch_to_learn_from_depends_on_its_step_alone(ten_pairs, detector_params):
    whole = list(training_batches(ten_pairs, detector_params, range(4)))
    resumed = list(training_batches(ten_pairs, detector_params, range(2, 4)))
    for expected, batch in zip(whole[2:], resumed, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(expected, batch, strict=True))
    image, damage = whole[0]
    assert image.shape == (4, 3, 16, 16) and image.dtype == torch.float32
    assert damage.shape == (4, 16, 16) and damage.dtype == torch.uint8


def test_the_loss_is_of_the_kind_where_that_is_known_and_of_any_where_not():
    logits = torch.tensor([0.0, 1.0, 2.0]).view(1, 3, 1, 1).expand(1, 3, 1, 4)
    share = torch.tensor([0.0, 1.0, 2.0]).softmax(0)
    classes = torch.tensor([[[0, 2, ANY, EITHER]]], dtype=torch.uint8)
    expected = -(share[0].log() + share[2].log() + (share[1] + share[2]).log()) / 4
    assert cross_entropy(logits, classes).item() == pytest.approx(expected.item())


def test_a_detector_learns_what_is_damaged(ten_pairs, detector_params):
    params = detector_params.model_copy(update={"steps": 80, "warmup": 79, "batch": 8, "lr": 0.01})
    trainer = Trainer(params, CPU)
    points = [trainer.step(step, batch) for step, batch in enumerate(training_batches(ten_pairs, params, range(79)))]
    assert points[-1]["l1"] < 0.3 * points[0]["l1"]
    validated = validate(trainer.ema, ten_pairs, range(4))
    assert validated.scores.shape == (4,) and validated.scores.min() > 0.8
    (image, found, damage), *_ = validated.pictures
    assert image.shape == (32, 32, 3) and found[damage > 0].mean() > 128 > found[damage == 0].mean()


def test_the_true_damage_is_what_the_discriminator_takes_for_real(ten_pairs, detector_params):
    trainer = Trainer(detector_params, CPU)
    image, damage = batch = next(training_batches(ten_pairs, detector_params, range(1)))
    made = attempt(trainer.generator, batch)
    assert torch.equal(made.real[1], ((damage > 0) & (damage != EITHER)).float().unsqueeze(1))
    assert torch.equal(made.real[0], image) and torch.equal(made.made[0], image)
    assert made.made[1].requires_grad and not made.real[1].requires_grad
    assert set(made.shown) == {"l1"}


@pytest.mark.parametrize("objective", ["nonsaturating", "relativistic"])
def test_a_discriminator_that_looks_at_picture_and_damage_teaches_the_detector_too(
    objective, ten_pairs, detector_params
):
    params = detector_params.model_copy(update={"objective": objective, "warmup": 0})
    trainer = Trainer(params, CPU)
    nn.init.normal_(trainer.generator.head.smooth.weight, std=0.1)
    before = [parameter.clone() for parameter in trainer.discriminator.parameters()]
    losses = trainer.step(0, next(training_batches(ten_pairs, params, range(1))))
    assert {"adversarial", "discriminator", "penalty"} <= losses.keys()
    assert all(value.isfinite() for value in losses.values())
    after = trainer.discriminator.parameters()
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
