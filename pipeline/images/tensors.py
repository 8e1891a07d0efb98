"""The one place where uint8 pictures become tensors, and back."""

import numpy as np
import torch
from torch import Tensor


def to_tensor(pictures: np.ndarray) -> Tensor:
    """Uint8 NHWC in [0, 255] to float32 NCHW in [0, 1], contiguous: priors and pooling are faster on whole planes."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().float().div(255)


def mask_to_tensor(masks: np.ndarray) -> Tensor:
    """Bool NHW to float32 N1HW, 1 where true."""
    return torch.from_numpy(masks).unsqueeze(1).float()


def to_uint8(pictures: Tensor) -> np.ndarray:
    """Float NCHW in [0, 1], clipped and rounded, to uint8 NHWC."""
    return pictures.clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
