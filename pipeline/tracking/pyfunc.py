"""The generator behind MLflow's pyfunc interface."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pipeline.networks import device, weights


class Restoration:
    """What `mlflow.pyfunc.load_model` gives."""

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


def _load_pyfunc(data_path: str) -> Restoration:
    """MLflow calls this with the folder that `weights.save` has written."""
    return Restoration(weights.load(Path(data_path), device.resolve_device()))
