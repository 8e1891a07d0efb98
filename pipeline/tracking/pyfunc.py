"""Generators, enlargers, translators and detectors behind MLflow's pyfunc interface."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pipeline.networks import device, weights
from pipeline.networks.detector import Detector
from pipeline.networks.enlarger import FACTORS, Enlarger
from pipeline.networks.translator import Translator


class Restoration:
    """What `mlflow.pyfunc.load_model` gives of a generator."""

    def __init__(self, generator: nn.Module) -> None:
        self.generator = generator

    def predict(self, model_input: dict[str, np.ndarray], params: dict[str, Any] | None = None) -> np.ndarray:
        """Restore a batch of pictures of any one size.

        Args:
            model_input: `image`, uint8 RGB NHWC, and `mask`, uint8 NHW: above 127 (white) is restored, the rest kept.
                Where a mask is white everywhere, its picture is taken as degraded, as after enlarging.
            params: MLflow passes it; there are none.

        Returns:
            uint8 RGB NHWC, equal to `image` where it is kept.
        """
        return weights.restore(self.generator, model_input["image"], model_input["mask"] > 127)


class Detection:
    """What `mlflow.pyfunc.load_model` gives of a detector."""

    def __init__(self, detector: nn.Module) -> None:
        self.detector = detector

    def predict(self, model_input: dict[str, np.ndarray], params: dict[str, Any] | None = None) -> np.ndarray:
        """Find the damage of a batch of pictures of any one size.

        Args:
            model_input: `image`, uint8 RGB NHWC.
            params: MLflow passes it; there are none.

        Returns:
            uint8 NHW: the probability that a pixel is damaged, of 255. What is above 127 is a mask.
        """
        return (weights.find_damage(self.detector, model_input["image"]) * 255).round().astype(np.uint8)


class Enlargement:
    """What `mlflow.pyfunc.load_model` gives of an enlarger."""

    def __init__(self, enlarger: nn.Module) -> None:
        self.enlarger = enlarger

    def predict(self, model_input: dict[str, np.ndarray], params: dict[str, Any] | None = None) -> np.ndarray:
        """Make a batch of pictures of any one size larger.

        Args:
            model_input: `image`, uint8 RGB NHWC.
            params: `factor`, 2, 3 or 4; MLflow passes 2 where none is given.

        Returns:
            uint8 RGB NHWC.
        """
        factor = (params or {})["factor"]
        if factor not in FACTORS:
            raise ValueError(f"a factor of {factor}; expected one of {', '.join(map(str, FACTORS))}")
        return np.stack([weights.enlarge(self.enlarger, image, factor) for image in model_input["image"]])


class Translation:
    """What `mlflow.pyfunc.load_model` gives of a translator."""

    def __init__(self, translator: nn.Module) -> None:
        self.translator = translator

    def predict(self, model_input: dict[str, np.ndarray], params: dict[str, Any] | None = None) -> np.ndarray:
        """Change the look of a batch of pictures of any one size.

        Args:
            model_input: `image`, uint8 RGB NHWC.
            params: MLflow passes it; there are none.

        Returns:
            uint8 RGB NHWC.
        """
        return weights.translate(self.translator, model_input["image"])


def _load_pyfunc(data_path: str) -> Restoration | Detection | Enlargement | Translation:
    """MLflow calls this with the folder that `weights.save` has written."""
    network = weights.load(Path(data_path), device.resolve_device())
    if isinstance(network, Enlarger):
        return Enlargement(network)
    if isinstance(network, Translator):
        return Translation(network)
    return Detection(network) if isinstance(network, Detector) else Restoration(network)
