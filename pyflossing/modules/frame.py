"""The orthonormal directions in which a spectrum starts."""

from __future__ import annotations

import torch
from torch import Tensor

from pyflossing._support.alignment import aligned
from pyflossing._support.arguments import require_integer
from pyflossing.model.spectrum import initial_frame
from pyflossing.modules.state import StateLayout

Frame = int | torch.Generator | Tensor
"""Seed of the Julia stream, a torch generator, or the frame itself."""


def starting_frame(frame: Frame, layout: StateLayout, k: int, device: torch.device) -> tuple[Tensor, str]:
    """The frame (*batch, n, k), the same for all examples unless it is given for each; and words for it.

    Raises:
        ValueError: a seed out of range, or a tensor of another shape or without orthonormal columns.
    """
    n = layout.n_states
    like = torch.empty(0, dtype=layout.dtype, device=device)
    if isinstance(frame, Tensor):
        shapes = {(n, k), (*layout.batch, n, k)}
        if tuple(frame.shape) not in shapes:
            allowed = " or ".join(str(shape) for shape in sorted(shapes, key=len))
            raise ValueError(f"frame has shape {tuple(frame.shape)}: it must be {allowed}")
        found = aligned(frame.detach().to(like))
        gram = found.mT @ found - torch.eye(k, dtype=layout.dtype, device=device)
        if not bool(gram.abs().max() <= 1e3 * torch.finfo(layout.dtype).eps):
            raise ValueError("frame is not allowed: its columns must be orthonormal, such as torch.linalg.qr(A).Q")
        return found.expand(*layout.batch, n, k), "given"
    if isinstance(frame, torch.Generator):
        normals = torch.randn(n, k, generator=frame, dtype=torch.float64, device=frame.device)
        return torch.linalg.qr(normals).Q.to(like).expand(*layout.batch, n, k), "torch generator"
    seed = require_integer("frame", frame, 0, 2**63 - 1)
    return initial_frame(n, k, seed, like=like).expand(*layout.batch, n, k), f"Julia stream, seed {seed}"
