"""On which device torch computes, the CPU or a GPU, and how few times it is waited for.

Float64 is needed everywhere (norms, the optimiser, runs in Float64), so Apple's "mps", which has none, is not allowed.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from pyflossing._support.arguments import FieldError

CPU = torch.device("cpu")

_NAME = re.compile(r"cpu|cuda(:(0|[1-9][0-9]{0,2}))?", re.ASCII)


def require_device_name(name: str, value: Any) -> str:
    """The name of a device, "cpu", "cuda" or "cuda:N", whether or not it is there: another machine may have it.

    Raises:
        ValueError: another name, naming ``name``, and what is allowed.
    """
    text = str(value) if isinstance(value, torch.device) else value
    if isinstance(text, str) and _NAME.fullmatch(text):
        return str(text)
    why = ": 'mps' has no Float64" if isinstance(text, str) and text == "mps" else ""
    raise FieldError(name, value, f"it must be 'cpu', 'cuda' or 'cuda:N'{why}")


def require_device(name: str, value: Any) -> torch.device:
    """The device of a name, such as "cuda:1"; "cuda" is torch's current GPU.

    Raises:
        ValueError: another name, or a GPU that torch does not see, naming ``name``, and what torch sees.
    """
    wanted = torch.device(require_device_name(name, value))
    if wanted.type == "cpu":
        return CPU
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise FieldError(name, value, f"it must be 'cpu': {_why_none()}")
    index = torch.cuda.current_device() if wanted.index is None else wanted.index
    if index >= count:
        there = ", ".join(device_in_words(torch.device("cuda", i)) for i in range(count))
        raise FieldError(name, value, f"it must be 'cpu', 'cuda' or a GPU that torch sees: {there}")
    return torch.device("cuda", index)


def device_in_words(device: torch.device) -> str:
    """cpu, or "cuda:0 (NVIDIA H100 80GB HBM3)" and the like."""
    return "cpu" if device.type == "cpu" else f"{device} ({torch.cuda.get_device_name(device)})"


def numbers_of(*scalars: Tensor) -> list[float]:
    """Tensors of one number each as Python's numbers; from a GPU, which has to be waited for, all in one transfer."""
    if scalars[0].device.type == "cpu":
        return [float(x) for x in scalars]
    found: list[float] = torch.stack([x.double() for x in scalars]).tolist()
    return found


def _why_none() -> str:
    if torch.version.cuda is None and torch.version.hip is None:
        return f"this torch ({torch.__version__}) is built without CUDA"
    return f"this torch ({torch.__version__}) sees no GPU"
