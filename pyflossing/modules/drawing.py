"""A picture of a spectrum (extra ``plot``: matplotlib)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def draw_exponents(
    exponents: Tensor, bars: Tensor, unit: str, ax: Any = None, *, label: str | None = None, color: Any = None
) -> Any:
    """Exponents over their index, with standard errors: of the mean over examples where there are several.

    Args:
        exponents, bars: (B, k) or (k,), without gradients.
        unit: of both, for the label of the axis.
        ax: matplotlib's axes; None makes a new figure.
        label, color: for the legend and the points.

    Returns:
        the axes.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot  # noqa: PLC0415 (only pictures need it)
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'pyflossing[plot]'", name="matplotlib") from error
    if ax is None:
        ax = pyplot.subplots(figsize=(4.8, 3.2), layout="constrained")[1]
        ax.spines[["top", "right"]].set_visible(False)
    exponents, bars = exponents.cpu(), bars.cpu()
    if exponents.dim() > 1:  # examples are independent
        bars = (bars**2).sum(dim=0).sqrt() / len(bars)
        exponents = exponents.mean(dim=0)
    index = torch.arange(1, len(exponents) + 1)
    ax.errorbar(index.numpy(), exponents.numpy(), bars.numpy(), fmt=".", label=label, color=color)
    ax.axhline(0, color="black", lw=0.8, ls=":")
    ax.set_xlabel("index")
    ax.set_ylabel(f"Lyapunov exponent ({unit})")
    return ax
