"""Where the arithmetic runs. The environment decides, not the parameters: it must not change the result's name."""

import os
import re

import torch

from pipeline.runtime import environment
from pipeline.runtime.errors import UserError, excerpt


def resolve_device(deterministic: bool = False) -> torch.device:
    """`MENDLINE_DEVICE` (cpu, cuda, cuda:1, mps), else the first of CUDA, MPS and CPU that is there.

    Args:
        deterministic: let CUDA use only kernels that give the same bits every time; what has none then raises. It is
            asked of CUDA alone: the CPU's kernels are so anyway, and became a third slower.

    Raises:
        UserError: the device asked for does not exist or is not available.
    """
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS looks when CUDA starts, and it starts here
    device = _own(_asked_for() or _first_there())
    if deterministic and device.type == "cuda":
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        # no room reads memory before it has written it; mypy does not see properties of modules, as this is one
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return device


def _own(device: torch.device) -> torch.device:
    """Of the GPUs, the one of this process, where it is one of several that train together."""
    local = os.environ.get("LOCAL_RANK")
    if local is None or device.type == "cpu":
        return device
    there = torch.cuda.device_count() if device.type == "cuda" and device.index is None else 1
    if int(local) >= there:
        raise UserError(
            f"{device}: only {there} here; set MENDLINE_PROCESSES, or torchrun's --nproc-per-node, to {there} at most"
        )
    if device.type == "cuda":
        torch.cuda.set_device(int(local))
    return torch.device(device.type, int(local))


def _first_there() -> torch.device:
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator if accelerator and accelerator.type in {"cuda", "mps"} else torch.device("cpu")


def _asked_for() -> torch.device | None:
    wanted = environment.device()
    if not wanted:
        return None
    if not re.fullmatch(r"cpu|mps|cuda(:[0-9]{1,3})?", wanted):
        raise UserError(f"MENDLINE_DEVICE is {excerpt(wanted)}; expected cpu, cuda, cuda:1 (a number) or mps")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"MENDLINE_DEVICE is {wanted!r}: {reason}; unset it to pick a device") from None
    return device


def numeric_environment(device: torch.device) -> dict[str, str]:
    """What decides the last digits beside the parameters: the processor, the version of torch, the CPU threads."""
    match device.type:
        case "cuda":
            name = torch.cuda.get_device_name(device)
        case "cpu":
            name = f"cpu {torch.backends.cpu.get_cpu_capability()}"
        case other:
            name = other
    return {"device": name, "torch": torch.__version__, "threads": str(torch.get_num_threads())}
