"""Scores of every translation of the test pairs into the second domain."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from skimage.exposure import match_histograms

from pipeline.corruptions.labels import RENDERED, has_truth, task_of
from pipeline.datasets.pairs import Pairs
from pipeline.evaluation.comparison import pair_keys, width_of
from pipeline.images.grid import evenly_spaced
from pipeline.metrics import image_quality
from pipeline.metrics.realism import PERCEPTUAL, KernelDistance, Measure
from pipeline.metrics.registry import RESTORATION, TRANSLATION
from pipeline.runtime import progress
from pipeline.tasks import TASKS

LOOKED_AT = 64  # pictures of the second domain that a classical method takes its colours from
THUMB = 32  # px: side at which the nearest picture is looked for
OF_THE_INPUT = ("lp_sq", "lp_vgg", "lpips")  # measures that say how much is kept; the others are of the second domain
BLUR = 5.0  # px: standard deviation, of the colour dodge
PROTOCOL = (
    f"{image_quality.PROTOCOL}. Where no truth is known there is neither. edges: SSIM of the gradients' magnitudes "
    "with those of the input, which says how much of the picture is kept"
)
PERCEPTUAL_PROTOCOL = (
    "kid: distance to pictures of the second domain, in the features of a network that no training has seen; the line "
    "`real` has that of two halves of them. input_lp: how far it has gone from the input. Lower is better"
)


@dataclass(frozen=True)
class Domain:
    """What a classical method knows of the second domain.

    Attributes:
        mosaic: some of its pictures side by side, uint8 HWC.
        mean: of CIE L*a*b*, float (3,).
        deviation: the same: the mean of the pictures' own.
    """

    mosaic: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


@dataclass(frozen=True)
class Classical:
    """A method without training.

    Attributes:
        change: makes of a picture one of the second domain, uint8 HWC.
        label: for people.
        applies: whether to pairs with a label.
    """

    change: Callable[[np.ndarray, Domain], np.ndarray]
    label: str
    applies: Callable[[str], bool] = lambda label: True


def describe(pictures: list[np.ndarray]) -> Domain:
    """What can be known of the second domain from some pictures of it."""
    in_lab = [_lab(picture) for picture in pictures]
    return Domain(
        np.concatenate(pictures, axis=1),
        np.mean([each.mean((0, 1)) for each in in_lab], axis=0),
        np.mean([each.std((0, 1)) for each in in_lab], axis=0),
    )


def _lab(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def reinhard(image: np.ndarray, domain: Domain) -> np.ndarray:
    """Reinhard et al. 2001, equations 10 and 11: means and deviations of the colours, here of CIE L*a*b*."""
    lab = _lab(image)
    moved = (lab - lab.mean((0, 1))) / lab.std((0, 1)).clip(min=1e-3) * domain.deviation + domain.mean
    rgb = cv2.cvtColor(moved.astype(np.float32), cv2.COLOR_LAB2RGB)
    return (255 * rgb).clip(0, 255).round().astype(np.uint8)


def histogram(image: np.ndarray, domain: Domain) -> np.ndarray:
    """The histogram of each channel as that of the second domain, as scikit-image has it."""
    return match_histograms(image, domain.mosaic, channel_axis=-1).clip(0, 255).round().astype(np.uint8)


def dodge(image: np.ndarray) -> np.ndarray:
    """What photo editors call a pencil sketch: the brightness divided by its own blur (colour dodge)."""
    ycc = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    bright = ycc[..., 0]
    ycc[..., 0] = cv2.divide(bright, 255 - cv2.GaussianBlur(255 - bright, (0, 0), BLUR), scale=256)
    return cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB)


def is_damage(label: str) -> bool:
    """Whether a pair is a damaged picture and the same undamaged."""
    return task_of(label) == "restore"


CLASSICAL = {
    "identity": Classical(lambda image, _: image, "input"),
    "reinhard": Classical(reinhard, "Reinhard"),
    "histogram": Classical(histogram, "histogram"),
    "dodge": Classical(lambda image, _: dodge(image), "colour dodge", lambda label: label in RENDERED),
    "median": Classical(lambda image, _: cv2.medianBlur(image, 3), "median filter", is_damage),
    "non_local": Classical(
        lambda image, _: cv2.fastNlMeansDenoisingColored(image, None, 5, 5), "non-local means", is_damage
    ),
}
BESIDE = TASKS["translate"].baseline  # is shown beside the translator
TITLES = ["picture", CLASSICAL[BESIDE].label, "translator", "second domain", "nearest of training"]
LABELS = {name: method.label for name, method in CLASSICAL.items()} | {"translator": "translator"}


class Likeness:
    """How like the second domain the translations look, and how much of the inputs they keep: `evaluate.perceptual`.

    Args:
        asked: names of `PERCEPTUAL`.

    Raises:
        UserError: what one of them needs is not there.
    """

    def __init__(self, asked: Collection[str]) -> None:
        self.measures: dict[str, Measure] = {name: PERCEPTUAL[name]() for name in asked}
        self.real = KernelDistance() if "kid" in asked else None
        self.pairs = 0
        self.methods: list[str] = []

    def add(self, made: dict[str, np.ndarray], image: np.ndarray, target: np.ndarray) -> None:
        """Take a pair: what each method made of the image, by name, and one of the second domain; all uint8 HWC."""
        self.pairs, self.methods = self.pairs + 1, list(made)
        whole = np.ones(image.shape[:2], bool)
        for name, measure in self.measures.items():
            measure.add(np.stack(list(made.values())), image if name in OF_THE_INPUT else target, whole)

    def add_real(self, one: np.ndarray, other: np.ndarray) -> None:
        """Take two pictures of the second domain, one of each half of them."""
        if self.real:
            self.real.add(one[None], other, np.ones(one.shape[:2], bool))

    def table(self) -> pd.DataFrame:
        """A line a method, and one of real pictures: `method`, `pairs` and the values. No line without a measure."""
        if not (self.measures and self.pairs):
            return pd.DataFrame(columns=["method", "pairs"])
        values = {
            f"input_{name}" if measured in OF_THE_INPUT else name: each.round(4)
            for measured, measure in self.measures.items()
            for name, each in measure.values().items()
        }
        table = pd.DataFrame({"method": self.methods, "pairs": self.pairs, **values})
        if not self.real:
            return table
        halves = {name: each.round(4) for name, each in self.real.values().items()}
        return pd.concat([table, pd.DataFrame({"method": ["real"], "pairs": self.pairs // 2, **halves})])


class Translations:
    """The translator and the classical methods, translating the same pictures.

    Args:
        pairs: the test pairs.
        training: those that were trained on: all that the methods know of the second domain.
        translator: the trained one: uint8 RGB HWC to the same.
    """

    def __init__(self, pairs: Pairs, training: Pairs, translator: Callable[[np.ndarray], np.ndarray]) -> None:
        self.pairs, self.training, self.translator = pairs, training, translator
        self.labels = pairs.column("corruption")
        self.domain = describe([training.target(index) for index in evenly_spaced(range(len(training)), LOOKED_AT)])
        self.thumbs = np.stack([thumb(training.target(index)) for index in range(len(training))])

    @property
    def has_truth(self) -> bool:
        """Whether it is known what should come of the test pictures."""
        return has_truth(self.labels[0])

    def translations(self, index: int) -> dict[str, np.ndarray]:
        """What each method makes of a pair's picture, by name: uint8 HWC."""
        _, image, _ = self.pairs.pictures(index)
        made = {
            name: method.change(image, self.domain)
            for name, method in CLASSICAL.items()
            if method.applies(self.labels[index])
        }
        return made | {"translator": self.translator(image)}

    def pictures(self, index: int) -> list[np.ndarray]:
        """What to show of a pair, as `TITLES` says: uint8 HWC; the last would be alike if it were learned by rote."""
        target, image, _ = self.pairs.pictures(index)
        made = self.translations(index)
        distances = np.abs(self.thumbs - thumb(made["translator"])).mean((1, 2, 3))
        return [image, made[BESIDE], made["translator"], target, self.training.target(int(distances.argmin()))]

    def scores(self, likeness: Likeness) -> pd.DataFrame:
        """A line for each pair and method: the columns of `comparison.pair_keys`, method and the metrics."""
        keys, half = pair_keys(self.pairs), len(self.pairs) // 2
        tables = []
        for index in progress.bar(range(len(self.pairs)), "evaluate", len(self.pairs), "pair"):
            target, image, mask = self.pairs.pictures(index)
            made = self.translations(index)
            count, pictures = len(made), np.stack(list(made.values()))
            values = image_quality.scores(pictures, np.stack([target] * count), np.stack([mask] * count))
            if not has_truth(self.labels[index]):
                values = {name: np.full(count, np.nan) for name in values}
            values["edges"] = image_quality.edge_ssim(pictures, np.stack([image] * count))
            likeness.add(made, image, target)
            if index < half:
                likeness.add_real(target, self.pairs.target(index + half))
            lines = keys.loc[[index] * count].reset_index(drop=True)
            tables.append(lines.assign(width=width_of(mask), method=list(made), **values))
        metrics = dict.fromkeys((*RESTORATION, *TRANSLATION), float)
        return pd.concat(tables, ignore_index=True).astype(metrics)


def thumb(picture: np.ndarray) -> np.ndarray:
    """Float32 HWC, small."""
    return cv2.resize(picture, (THUMB, THUMB), interpolation=cv2.INTER_AREA).astype(np.float32)
