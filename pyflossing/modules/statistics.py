"""Numbers made from Lyapunov exponents: their standard errors, dimensions and entropy rates."""

from __future__ import annotations

import torch
from torch import Tensor

_FREQUENCIES = 32
_ROUNDS = 100


def standard_error(series: Tensor) -> Tensor:
    """Standard error of the mean over the first dimension of correlated numbers, shape (n, ...) -> (...).

    The variance of the mean is the power spectrum at frequency zero, divided by n. It is extrapolated from the lowest
    32 frequencies (n / 2 if those are fewer), with the model D + S f^2 fitted by Whittle's likelihood: D is what
    diffuses, and the rest what comes back, such as the phase of an oscillation. For fluctuations without memory S is
    zero; where all of them come back, as along a flow, blocks of any length would give errors that are too wide. Fewer
    than 2 numbers, or one that is not finite, give NaN.

    Source: the spectrum at zero, Heidelberger & Welch, Commun. ACM 24, 233 (1981); the likelihood, Whittle 1953; the
    model is ours.
    """
    n = series.shape[0]
    if n < 2:
        return torch.full(series.shape[1:], torch.nan, dtype=series.dtype, device=series.device)
    index = torch.arange(1, min(_FREQUENCIES, n // 2) + 1, dtype=series.dtype, device=series.device)
    time = (torch.arange(n, dtype=series.dtype, device=series.device) + 0.5) / n
    waves = (2 / n) ** 0.5 * torch.cos(torch.pi * index[:, None] * time)
    power = (waves @ (series - series.mean(dim=0)).reshape(n, -1)) ** 2
    square = ((index / index[-1]) ** 2)[:, None]
    scale = power.mean(dim=0)
    power = power / torch.where(scale > 0, scale, 1.0)
    D, S = torch.full_like(scale, 0.5), torch.ones_like(scale)
    for _ in range(_ROUNDS):  # multiplied by what keeps both positive, and is 1 where the likelihood is largest
        model = (D + S * square).clamp(min=1e-12)
        D = D * ((power / model**2).mean(dim=0) / (1 / model).mean(dim=0)).sqrt()
        S = S * ((power * square / model**2).mean(dim=0) / (square / model).mean(dim=0)).sqrt()
    found: Tensor = (D * scale / n).sqrt().reshape(series.shape[1:])
    return found


def kaplan_yorke_dimension(exponents: Tensor, n_states: int) -> Tensor:
    """j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}| for the largest j with a sum >= 0; shape (..., k) -> (...).

    The exponents are sorted first. NaN where all k sums are >= 0 although there are more exponents than k: the
    dimension is then at least k; ``n_states`` where all there are sum to at least 0. Exponents that are NaN lie below
    all others; where the sum turns negative with one of them, the dimension is NaN.

    Source: Kaplan & Yorke 1979.
    """
    unknown = exponents.isnan()
    ordered = torch.where(unknown, -torch.inf, exponents).sort(dim=-1, descending=True).values
    n_known = exponents.shape[-1] - unknown.sum(dim=-1)
    sums = ordered.cumsum(dim=-1)
    j = (sums >= 0).sum(dim=-1)  # a prefix: once negative, the sums of a sorted series stay so
    k = exponents.shape[-1]
    padded = torch.cat([torch.zeros_like(sums[..., :1]), sums], dim=-1)
    fraction = padded.gather(-1, j[..., None]) / -ordered.gather(-1, j.clamp(max=k - 1)[..., None])
    whole = torch.full_like(sums[..., 0], n_states if k == n_states else torch.nan)
    return torch.where(j == k, whole, torch.where(j < n_known, j + fraction[..., 0], torch.nan))


def entropy_rate(exponents: Tensor) -> Tensor:
    """Sum of the positive exponents, shape (..., k) -> (...).

    It bounds the Kolmogorov-Sinai entropy rate from above (Ruelle's inequality), with equality under Pesin's
    conditions; in nats per unit of the exponents. Where all k exponents are positive, there may be more to add.
    Exponents that are NaN lie far below the largest, and count as negative.
    """
    return exponents.clamp(min=0).nansum(dim=-1)
