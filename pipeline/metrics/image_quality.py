"""PSNR and SSIM of restored pictures: the protocol every report of the project states."""

import cv2
import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

PSNR_CEILING = 100.0  # dB; a perfect match has this PSNR, and so a finite mean
PROTOCOL = (
    "uint8 RGB, composed (known pixels kept); PSNR a picture, then the mean, at most 100 dB; SSIM with the "
    "11 x 11 Gaussian window (sigma 1.5), pictures mirrored at their borders (scikit-image leaves the borders out); "
    "_hole: the same on the pixels of the mask alone; higher is better"
)


def scores(restored: np.ndarray, target: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Score each picture.

    Args:
        restored: uint8 NHWC, sides of at least 11.
        target: the same, undamaged.
        mask: bool NHW, true where it was restored; at least one pixel a picture.

    Returns:
        Float N each: `psnr` in dB, `ssim` in [-1, 1] (Wang et al. 2004), and both on the mask's pixels alone:
        `psnr_hole` from their squared error, `ssim_hole` the mean of the SSIM map over them.
    """
    picture, truth = _to_float(restored), _to_float(target)
    ssim, ssim_map = structural_similarity_index_measure(
        picture, truth, data_range=255.0, reduction="none", return_full_image=True
    )
    hole = torch.from_numpy(mask)[:, None].expand_as(ssim_map)
    in_hole = [
        peak_signal_noise_ratio(p[m], t[m], data_range=255.0) for p, t, m in zip(picture, truth, hole, strict=True)
    ]
    return {
        "psnr": psnr(restored, target),
        "ssim": ssim.numpy(),
        "psnr_hole": torch.stack(in_hole).clamp(max=PSNR_CEILING).numpy(),
        "ssim_hole": ((ssim_map * hole).sum((1, 2, 3)) / hole.sum((1, 2, 3))).numpy(),
    }


def psnr(restored: np.ndarray, target: np.ndarray) -> np.ndarray:
    """PSNR of each picture (uint8 NHWC) in dB, at most `PSNR_CEILING`; float N."""
    ratio = peak_signal_noise_ratio(
        _to_float(restored), _to_float(target), data_range=255.0, dim=(1, 2, 3), reduction="none"
    )
    return ratio.clamp(max=PSNR_CEILING).numpy()


def edge_ssim(pictures: np.ndarray, others: np.ndarray) -> np.ndarray:
    """SSIM, as `scores` has it, of the magnitude of the brightness' gradient (Sobel); uint8 NHWC both, float N."""
    ours, theirs = (
        torch.from_numpy(np.stack([_edges(each) for each in several]))[:, None] for several in (pictures, others)
    )
    return np.asarray(structural_similarity_index_measure(ours, theirs, data_range=255.0, reduction="none"))


def _edges(picture: np.ndarray) -> np.ndarray:
    """Of a picture, uint8 HWC, float32 HW: as steep as from black to white is 255."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *order, scale=0.25) for order in ((1, 0), (0, 1)))
    return np.minimum(np.hypot(across, down), 255)


def _to_float(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
