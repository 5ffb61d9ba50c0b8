"""The adjoint of a QR decomposition, for losses of the logarithms of R's diagonal."""

from __future__ import annotations

import torch
from torch import Tensor


def qr_adjoint(Q_bar: Tensor, Q: Tensor, R: Tensor, weights: Tensor, out: Tensor) -> None:
    """Put into ``out`` dL/dA of A = Q R, where R enters the loss through log |R_ii| only, with derivatives ``weights``.

    Specification (8.3).

    In general dL/dA = (Q_bar + Q S) R^-T, S the symmetric matrix that has the lower triangle of R R_bar' - Q_bar' Q
    (Walter & Lehmann 2010; Liao et al. 2019). Here that triangle of R R_bar' is the diagonal ``weights``, and the
    strict lower triangle L of Q_bar' Q is rounding alone, because later logarithms do not change when a column of Q is
    added to a later one. Q L' has to go, since it would grow backwards in time; the other half, Q L, changes nothing.

    Shapes: Q_bar, which is overwritten, Q and the result are transposed, (k, n); R (k, k), weights (k,).
    """
    M = (Q_bar @ Q.T).tril_()
    M.diagonal().sub_(weights)
    Q_bar.addmm_(M, Q, alpha=-1)
    torch.linalg.solve_triangular(R.T, Q_bar.T, upper=False, left=False, out=out.T)
