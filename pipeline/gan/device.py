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


def deterministic_kernels() -> None:
    """Let a GPU use only kernels that give the same bits every time; to be called before CUDA starts.

    What has no such kernel then raises. See PyTorch's notes on reproducibility.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # no room reads it


def arithmetic(device: torch.device) -> dict[str, str]:
    """What decides the last digits beside the parameters: the processor, the version of torch, the CPU threads."""
    match device.type:
        case "cuda":
            name = torch.cuda.get_device_name(device)
        case "cpu":
            name = f"cpu {torch.backends.cpu.get_cpu_capability()}"
        case other:
            name = other
    return {"device": name, "torch": torch.__version__, "threads": str(torch.get_num_threads())}
