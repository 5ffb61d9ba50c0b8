"""Numbers made from Lyapunov exponents: their standard errors, dimensions and entropy rates."""

from __future__ import annotations

import torch
from torch import Tensor

_FEWEST_GROUPS = 8


def standard_error(series: Tensor) -> Tensor:
    """Standard error of the mean over the first dimension of correlated numbers, shape (n, ...) -> (...).

    Blocks of 1, 2, 4, ... successive numbers are averaged, and the error is that of the block means, as if those were
    independent, for the smallest block length B with B^3 > 2 n (error(B) / error(1))^4; the largest of all where
    none is long enough. At least 8 blocks are kept. Fewer than 2 numbers, or one that is not finite, give NaN.

    Source: Flyvbjerg & Petersen, J. Chem. Phys. 91, 461 (1989); the choice of B: Lee et al., Comput. Phys. Commun.
    182, 1860 (2011).
    """
    n = series.shape[0]
    if n < 2:
        return torch.full(series.shape[1:], torch.nan, dtype=series.dtype, device=series.device)
    errors: list[Tensor] = []
    lengths: list[int] = []
    means = series
    while not errors or means.shape[0] >= _FEWEST_GROUPS:
        errors.append(means.std(dim=0) / means.shape[0] ** 0.5)
        lengths.append(2 ** len(lengths))
        even = means.shape[0] // 2 * 2
        means = means[:even].reshape(even // 2, 2, *series.shape[1:]).mean(dim=1)
    found = torch.stack(errors)
    length = torch.tensor(lengths, dtype=series.dtype, device=series.device).reshape(-1, *[1] * (series.dim() - 1))
    ratio = torch.where(found[0] > 0, found / found[0], 1.0)
    enough = length**3 > 2 * n * ratio**4
    first = enough.to(torch.uint8).argmax(dim=0, keepdim=True)  # of several largest the first
    chosen = found.gather(0, first)[0]
    return torch.where(enough.any(dim=0), chosen, found.amax(dim=0))


def kaplan_yorke_dimension(exponents: Tensor, n_states: int) -> Tensor:
    """j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}| for the largest j with a sum >= 0; shape (..., k) -> (...).

    The exponents are sorted first. NaN where all k sums are >= 0 although there are more exponents than k: the
    dimension is then at least k; ``n_states`` where all there are sum to at least 0.

    Source: Kaplan & Yorke 1979.
    """
    ordered = exponents.sort(dim=-1, descending=True).values
    sums = ordered.cumsum(dim=-1)
    j = (sums >= 0).sum(dim=-1)  # a prefix: once negative, the sums of a sorted series stay so
    k = exponents.shape[-1]
    padded = torch.cat([torch.zeros_like(sums[..., :1]), sums], dim=-1)
    fraction = padded.gather(-1, j[..., None]) / -ordered.gather(-1, j.clamp(max=k - 1)[..., None])
    whole = torch.full_like(sums[..., 0], n_states if k == n_states else torch.nan)
    return torch.where(j == k, whole, j + fraction[..., 0])


def entropy_rate(exponents: Tensor) -> Tensor:
    """Sum of the positive exponents, shape (..., k) -> (...).

    It bounds the Kolmogorov-Sinai entropy rate from above (Ruelle's inequality), with equality under Pesin's
    conditions; in nats per unit of the exponents. Where all k exponents are positive, there may be more to add.
    """
    return exponents.clamp(min=0).sum(dim=-1)
