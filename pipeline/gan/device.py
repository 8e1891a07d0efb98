"""Where the arithmetic runs. The environment decides, not the parameters: it must not change the result's name."""

import os

import torch

from pipeline.errors import UserError


def pick() -> torch.device:
    """`MENDLINE_DEVICE` (cpu, cuda, cuda:1, mps), else the first of CUDA, MPS and CPU that is there.

    Raises:
        UserError: the device asked for does not exist or is not available.
    """
    wanted = os.environ.get("MENDLINE_DEVICE")
    if wanted is None:
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator if accelerator and accelerator.type in {"cuda", "mps"} else torch.device("cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"MENDLINE_DEVICE is {wanted!r}: {reason}; unset it to pick a device") from None
    return device
