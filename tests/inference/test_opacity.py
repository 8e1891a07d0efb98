import cv2
import numpy as np
import pytest
from skimage import data

from benchmarks import damages
from pipeline.corruptions import draw
from pipeline.inference import backends, opacity, pyramid
from pipeline.params import load
from tests.clone import ROOT

MODEL = ROOT / "models/restore"
NETWORK, PRIOR = backends.load(MODEL)
PARAMS = load(ROOT / "params.yaml").corrupt
OPAQUE = ["lettering", "tears", "sticker", "dust"]


def photo(name: str, side: int = 256) -> np.ndarray:
    image = getattr(data, name)()
    scale = side / min(image.shape[:2])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def damage(kind: str, image: np.ndarray, wider: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A damaged picture and its mask, so many px wider than the damage."""
    rng = np.random.default_rng(seed)
    damaged, hole = (
        getattr(damages, kind)(image, rng) if kind in OPAQUE else draw.corrupt(kind, image, rng, PARAMS, None)
    )
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * wider + 1,) * 2)
    return damaged, cv2.dilate(hole.astype(np.uint8), disc) > 0


def restored(image: np.ndarray, hole: np.ndarray, see_through: bool | None = None) -> np.ndarray:
    return pyramid.restore(NETWORK, PRIOR, image, hole, see_through)


def decibels(picture: np.ndarray, target: np.ndarray, hole: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(picture[hole].astype(float) - target[hole]).mean()))


@pytest.mark.parametrize(
    ("kind", "wider"),
    [(kind, wider) for kind in [*OPAQUE, "scratch", "occlusion"] for wider in (2, 4, 8)]
    + [("freeform", 2), ("freeform", 4)],
)
def test_what_is_opaque_is_gone_under_a_wide_mask(kind, wider):
    target = photo("astronaut")
    image, hole = damage(kind, target, wider)
    without = decibels(restored(image, hole, see_through=False), target, hole)
    assert decibels(restored(image, hole), target, hole) > without - 0.1


@pytest.mark.parametrize("wider", [0, 2, 4, 8])
@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut"])
def test_what_shines_through_a_stain_is_used(name, wider):
    target = photo(name)
    image, hole = damage("stain", target, wider)
    through = decibels(restored(image, hole, see_through=True), target, hole)
    assert decibels(restored(image, hole), target, hole) > through - 0.1


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("side", [256, 400, 900])
def test_a_stain_and_lettering_in_one_picture_are_each_judged(kind, side):
    target = photo("coffee", side)
    stained, stain = damage("stain", target, side // 64)
    lettered, letters = damage("lettering", target, side // 64)
    apart = cv2.dilate(stain.astype(np.uint8), np.ones((9, 9))) == 0
    lettered, letters = np.where(apart[..., None], lettered, stained), letters & apart
    image = pyramid.as_kind(pyramid.as_float(lettered), np.dtype(kind))
    opaque = pyramid.find_opaque(image, stain | letters)
    assert not opaque[~(stain | letters)].any()
    assert opaque[letters].mean() > 0.95
    assert opaque[stain].mean() < 0.1


@pytest.mark.parametrize("kind", ["stain", "dust", "lettering", "tears"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_how_a_region_is_judged_follows_from_what_is_near_it_alone(kind, seed):
    part = photo("astronaut")[:256, :256]
    damaged, hole = damage(kind, part, 2, seed)
    hole[[0, 1, -2, -1]] = hole[:, [0, 1, -2, -1]] = False  # a region that reaches the edge sees more beyond it
    margin = opacity.REACH
    image = np.pad(damaged, [(margin, margin), (margin, margin), (0, 0)], mode="symmetric")
    hole = np.pad(hole, margin)
    alone = pyramid.find_opaque(image, hole)
    rng = np.random.default_rng(seed)
    large, holes = rng.integers(256, size=(3000, 3000, 3), dtype=np.uint8), np.zeros((3000, 3000), bool)
    at = slice(700, 700 + len(hole)), slice(1300, 1300 + len(hole))
    large[at], holes[at] = image, hole
    holes[2500:2520, 20:40] = holes[30:900, 2900:2910] = holes[100:110, 100:2800] = True
    assert np.array_equal(pyramid.find_opaque(large, holes)[at], alone)


def test_a_large_region_is_judged_as_if_it_were_alone():
    target = np.tile(photo("astronaut"), (6, 6, 1))
    stain, far = np.zeros(target.shape[:2], np.uint8), np.zeros(target.shape[:2], bool)
    cv2.circle(stain, (800, 700), 450, 1, -1)
    stain, far[20:40, 20:40] = stain.astype(bool), True
    image = np.where(stain[..., None], target // 2 + np.uint8(60), target)
    assert not pyramid.find_opaque(image, stain).any()
    assert not pyramid.find_opaque(image, stain | far)[stain].any()
    assert pyramid.find_opaque(np.where(stain[..., None], np.uint8(60), target), stain | far)[stain].all()


@pytest.mark.parametrize("size", [(1, 3_000_000), (2_000_000, 2)])
def test_a_region_of_any_shape_is_judged(size):
    image, hole = np.zeros((*size, 3), np.uint8), np.ones(size, bool)
    hole[:1, :1] = False
    assert pyramid.find_opaque(image, hole).sum() in (0, hole.sum())


def test_each_region_is_restored_as_it_was_judged():
    target = photo("coffee")
    stained, stain = damage("stain", target, 2)
    image, hole = stained.copy(), stain.copy()
    image[200:210, 300:350], hole[196:214, 296:354] = (20, 90, 220), True
    opaque = pyramid.find_opaque(image, hole)
    assert opaque.any() and (hole & ~opaque).any()
    painted = np.where(opaque[..., None], np.uint8(128), image)
    assert np.array_equal(restored(image, hole), restored(painted, hole, see_through=True))
