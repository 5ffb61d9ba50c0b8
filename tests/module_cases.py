"""What tests of users' modules share: numbers to start from, and exponents from explicit Jacobians."""

from __future__ import annotations

import torch

from pyflossing.model.spectrum import initial_frame


def normal(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def jacobian_exponents(step, state, inputs, k=None, transient=0, frame_seed=1):
    """All exponents of one example's flat trajectory, from explicit Jacobians and QR decompositions by numpy."""
    n = state.numel()
    Q = initial_frame(n, k or n, frame_seed, like=state)
    logs = []
    for x in inputs:
        jacobian = torch.autograd.functional.jacobian(lambda h, x=x: step(h, x), state)
        Q, R = torch.linalg.qr(jacobian @ Q)
        logs.append(R.diagonal().abs().log())
        state = step(state, x).detach()
    return torch.stack(logs[transient:]).mean(dim=0)
