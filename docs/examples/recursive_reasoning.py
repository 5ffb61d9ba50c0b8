"""Exponents of the latent carry of recursive reasoning models, TRM and HRM, at a small size, and their flossing.

    python docs/examples/recursive_reasoning.py

Both models repeat a step on what they carry: TRM an answer and a latent state, HRM a slow and a fast one. Training
differentiates the last part of a step only: the rest runs under ``torch.no_grad()``, and the carry is detached between
steps. So the derivative that training sees says nothing of how one carry depends on the one before: from step to step
it is zero, and a spectrum with ``through_no_grad=False`` is refused for that reason. The exponents of the carry, which
tell whether the recursion forgets, keeps or blows up what it holds, are those of the whole step:
``through_no_grad=True``. Detaching between steps changes nothing, as exponents are taken across them. Taken one
recursion at a time, without any ``no_grad``, TRM has the same exponents, which this program prints as well.

The recursions are those that the papers describe (Jolicoeur-Martineau, "Less is more: recursive reasoning with tiny
networks", 2025; Wang et al., "Hierarchical reasoning model", 2025); the code was written for this page.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor, nn
from torch.nn import functional

from pyflossing import finite_time_exponents, flossing_loss, lyapunov_spectrum

N_TOKENS, WIDTH, N_HEADS, N_EXAMPLES, N_SUPERVISION = 4, 8, 2, 3, 16
Carry = dict[str, Tensor]


def normalised(x: Tensor) -> Tensor:
    """Root mean square 1 over the width."""
    return x * torch.rsqrt((x**2).mean(dim=-1, keepdim=True) + 1e-6)


class Block(nn.Module):
    """Attention and a gated layer, each with a residual and normalised after it."""

    def __init__(self) -> None:
        super().__init__()
        self.queries_keys_values = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.attended = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(2 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.queries_keys_values(x).unflatten(-1, (3, N_HEADS, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*heads.unbind(0)).transpose(1, 2).flatten(2)
        x = normalised(x + self.attended(attended))
        gate, value = self.up(x).chunk(2, dim=-1)
        return normalised(x + self.down(functional.silu(gate) * value))


class TinyRecursion(nn.Module):
    """TRM: a latent state is refined n times, then the answer once; T times this is a step, the last with gradients."""

    def __init__(self, n: int = 3, T: int = 2) -> None:
        super().__init__()
        self.net, self.n, self.T = Block(), n, T

    def recursion(self, carry: Carry, question: Tensor) -> Carry:
        answer, latent = carry["answer"], carry["latent"]
        for _ in range(self.n):
            latent = self.net(question + answer + latent)
        return {"answer": self.net(answer + latent), "latent": latent}

    def forward(self, carry: Carry, question: Tensor) -> Carry:
        with torch.no_grad():
            for _ in range(self.T - 1):
                carry = self.recursion(carry, question)
        return self.recursion(carry, question)


class HierarchicalReasoning(nn.Module):
    """HRM: a fast state moves T times for each move of a slow one, N times over; gradients through the last moves."""

    def __init__(self, N: int = 2, T: int = 2) -> None:
        super().__init__()
        self.slow, self.fast, self.N, self.T = Block(), Block(), N, T

    def forward(self, carry: Carry, question: Tensor) -> Carry:
        high, low = carry["high"], carry["low"]
        with torch.no_grad():
            for i in range(1, self.N * self.T):
                low = self.fast(low + high + question)
                if i % self.T == 0:
                    high = self.slow(high + low)
        low = self.fast(low + high + question)
        return {"high": self.slow(high + low), "low": low}


def start(names: tuple[str, str]) -> tuple[Carry, Tensor]:
    """A carry, and the question, the same in every supervision step."""
    random = torch.Generator().manual_seed(2)
    carry = {name: normalised(torch.randn(N_EXAMPLES, N_TOKENS, WIDTH, generator=random)) for name in names}
    question = torch.randn(N_EXAMPLES, N_TOKENS, WIDTH, generator=random)
    return carry, question.expand(N_SUPERVISION, *question.shape)


def told(what: str, exponents: Tensor) -> None:
    for b, row in enumerate(exponents):
        print(f"{what}, example {b}: {' '.join(f'{value:7.3f}' for value in row)}  1/step")


def main(n_epochs: int) -> tuple[Tensor, Tensor]:
    """The leading exponents of TRM's carry before and after flossing, on (B, k)."""
    torch.manual_seed(1)
    models = {"TRM": (TinyRecursion(), ("answer", "latent")), "HRM": (HierarchicalReasoning(), ("high", "low"))}
    for name, (model, parts) in models.items():
        carry, question = start(parts)
        begin = time.process_time()
        found = finite_time_exponents(model, carry, question, 4, dtype=torch.float64, through_no_grad=True)
        told(f"{name}, {time.process_time() - begin:.1f} s", found.exponents)

    tiny = models["TRM"][0].double()
    carry, question = start(models["TRM"][1])
    each = question.repeat_interleave(tiny.T, dim=0)
    alone = finite_time_exponents(tiny.recursion, carry, each, 4, dtype=torch.float64, time_step=1 / tiny.T)
    told("TRM, one recursion at a time", alone.exponents)
    tiny.float()

    model, parts = models["TRM"]
    carry, question = start(parts)

    def exponents() -> Tensor:
        return finite_time_exponents(model, carry, question, 4, through_no_grad=True).exponents

    before = exponents()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(n_epochs):  # as a regulariser it would be added to the task's loss
        spectrum = lyapunov_spectrum(
            model, carry, question[:8], 4, transient=2, differentiable=True, through_no_grad=True
        )
        optimiser.zero_grad()
        flossing_loss(spectrum, side="contracting").backward()
        optimiser.step()
    after = exponents()
    print(f"TRM's leading exponents: {before.mean():.3f} before flossing, {after.mean():.3f} after {n_epochs} epochs")
    return before, after


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30)
    main(parser.parse_args().epochs)
