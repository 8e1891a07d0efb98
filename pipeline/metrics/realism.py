"""What `evaluate.perceptual` chooses from: measures of how real holes look, one value a method over all pairs."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pipeline.metrics import feature_networks, perceptual
from pipeline.metrics.feature_networks import FEATURE_NETWORKS
from pipeline.runtime.errors import UserError


class Measure(Protocol):
    """Sees a pair after the other, each as all methods have restored it."""

    def add(self, restored: np.ndarray, target: np.ndarray, mask: np.ndarray) -> None:
        """Take a pair: uint8 MHWC, a picture a method; uint8 HWC, its original; bool HW, true where it is damaged."""

    def values(self) -> dict[str, np.ndarray]:
        """What the methods get for all pairs so far, float M, by name of the value."""


class Mean:
    """The mean over the pairs of what a function (restored, targets, masks; each of M) gives for each, NaN aside."""

    def __init__(self, measures: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]]) -> None:
        self.measures = measures
        self.found: dict[str, list[np.ndarray]] = {name: [] for name in measures}

    def add(self, restored: np.ndarray, target: np.ndarray, mask: np.ndarray) -> None:
        """As `Measure` has it."""
        targets, masks = (np.stack([one] * len(restored)) for one in (target, mask))
        for name, measure in self.measures.items():
            self.found[name].append(measure(restored, targets, masks))

    def values(self) -> dict[str, np.ndarray]:
        """As `Measure` has it; NaN where no pair gives a number."""
        found = {name: np.array(each, float) for name, each in self.found.items()}
        return {
            name: np.nansum(each, axis=0) / np.where(np.isnan(each).all(axis=0), np.nan, (~np.isnan(each)).sum(axis=0))
            for name, each in found.items()
        }


class KernelDistance:
    """`perceptual.kernel_distance` of the features of the holes, after two layers of SqueezeNet."""

    def __init__(self) -> None:
        self.layers = feature_networks.load("squeezenet")
        self.found: dict[str, list[np.ndarray]] = {tap: [] for tap in perceptual.KID_TAPS}

    def add(self, restored: np.ndarray, target: np.ndarray, mask: np.ndarray) -> None:
        """As `Measure` has it."""
        pictures = np.concatenate([restored, target[None]])
        taps = tuple(perceptual.KID_TAPS.values())
        pooled = perceptual.hole_features(self.layers, taps, pictures, np.stack([mask] * len(pictures)))
        for tap, features in zip(self.found, pooled, strict=True):
            self.found[tap].append(features)

    def values(self) -> dict[str, np.ndarray]:
        """As `Measure` has it; NaN of a single pair."""
        return {f"kid_{tap}": self._distances(np.array(each)) for tap, each in self.found.items()}

    def _distances(self, features: np.ndarray) -> np.ndarray:
        *methods, targets = features.swapaxes(0, 1)
        if len(targets) < 2:
            return np.full(len(methods), np.nan)
        return np.array([perceptual.kernel_distance(own, targets) for own in methods])


class OfTorchMetrics:
    """A metric of TorchMetrics, of whole pictures, as it is: one object a method.

    Args:
        name: of the value.
        build: the metric, with its network; it is asked once at first.
        update: gives the metric restored and true pictures (both uint8 1CHW).
    """

    def __init__(self, name: str, build: Callable[[], Any], update: Callable[[Any, Tensor, Tensor], None]) -> None:
        self.name, self.build, self.update = name, build, update
        self.metrics = [build()]

    def add(self, restored: np.ndarray, target: np.ndarray, mask: np.ndarray) -> None:
        """As `Measure` has it; the mask has no say."""
        self.metrics += [self.build() for _ in restored[len(self.metrics) :]]
        theirs = _planes(target)
        for metric, picture in zip(self.metrics, restored, strict=True):
            self.update(metric, _planes(picture), theirs)

    def values(self) -> dict[str, np.ndarray]:
        """As `Measure` has it."""
        return {self.name: np.array([float(metric.compute()) for metric in self.metrics])}


def lp(name: str, network: str) -> Measure:
    """`perceptual.feature_distance` in the features of one of `FEATURE_NETWORKS`."""
    layers, taps = feature_networks.load(network), FEATURE_NETWORKS[network].taps

    def distance(restored: np.ndarray, targets: np.ndarray, masks: np.ndarray) -> np.ndarray:
        ours, theirs = (perceptual.unit_features(layers, taps, each) for each in (restored, targets[:1]))
        return perceptual.feature_distance(ours, theirs, masks)

    return Mean({name: distance})


def lattice() -> Measure:
    """`perceptual.lattice` at each of `PERIODS`."""

    def at(period: int, restored: np.ndarray, _: np.ndarray, masks: np.ndarray) -> np.ndarray:
        return perceptual.lattice(restored, masks, period)

    return Mean({f"lattice_{period}": partial(at, period) for period in perceptual.PERIODS})


def lpips() -> Measure:
    """LPIPS (Zhang et al. 2018) with AlexNet, of whole composed pictures.

    Raises:
        UserError: the packages or the network are not there.
    """

    def update(metric: Any, ours: Tensor, theirs: Tensor) -> None:
        metric.update(ours.float() / 255, theirs.float() / 255)

    try:
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        return OfTorchMetrics("lpips", partial(LearnedPerceptualImagePatchSimilarity, "alex", normalize=True), update)
    except (ImportError, OSError, RuntimeError) as error:
        raise _unavailable("lpips", error) from None


def fid() -> Measure:
    """FID (Heusel et al. 2017) on Inception's 2048 features, of whole composed pictures; it wants thousands of them.

    Raises:
        UserError: the packages or the network are not there.
    """

    def update(metric: Any, ours: Tensor, theirs: Tensor) -> None:
        metric.update(ours, real=False)
        metric.update(theirs, real=True)

    try:
        from torchmetrics.image.fid import FrechetInceptionDistance

        return OfTorchMetrics("fid", FrechetInceptionDistance, update)
    except (ImportError, OSError, RuntimeError) as error:
        raise _unavailable("fid", error) from None


PERCEPTUAL: dict[str, Callable[[], Measure]] = {
    "lp_sq": partial(lp, "lp_sq", "squeezenet"),
    "lp_vgg": partial(lp, "lp_vgg", "vgg16"),
    "kid": KernelDistance,
    "lattice": lattice,
    "lpips": lpips,
    "fid": fid,
}
"""Measures, each loading the network that it needs. Lower is better, but for the lattice, where the original's is."""


def _planes(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]


def _unavailable(name: str, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0]
    return UserError(
        f"evaluate.perceptual: {name} cannot be had ({reason}); pip install 'torchmetrics[image]', whose network comes "
        "from the internet, or leave it out"
    )
