"""States over time, and the reverse pass through them, written out: one loop forward, one back, no graph.

Arrays are batch-major here, (..., T, B, N), so that steps are contiguous and the weights' gradients are one product of
matrices without a copy; the dots are any leading dimensions, of an ensemble for instance. The inner loops call numpy
where a step's product is small, because its calls cost a third of torch's, and torch elsewhere; both have the few
functions that are used under the same names. Agrees with :func:`pyflossing.loss.trajectory` (a test shows it).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyflossing.networks import BinaryNetwork, SpikingNetwork, TanhNetwork

BuiltIn = TanhNetwork | BinaryNetwork | SpikingNetwork

_SMALL_PRODUCT = 2**18
"""Multiplications up to which OpenBLAS keeps to one thread: the trainer sets torch's number of threads, not numpy's."""

_CHUNK = 2**15
"""Entries that are taken at once where a chain of elementwise functions should stay in the cache."""


def batch_major(x: Tensor) -> Tensor:
    """(..., N, B) as (..., B, N), contiguous."""
    return x.transpose(-1, -2).contiguous()


class TrajectoryPass:
    """The states of a batch under its drive, and the adjoint of them.

    Args:
        network: one of the three built-in ones.
        J: (..., N, N).
        x0: (..., B, n_states), of spiking units membranes first.
        states: (..., T + 1, B, N), holding the units' drive u_n in its entry n + 1; the states seen by the readout (x,
            or the membranes) take its place.
    """

    def __init__(self, network: BuiltIn, J: Tensor, x0: Tensor, states: Tensor) -> None:
        self.network, self.J = network, J
        n_units, batch = states.shape[-1], states.shape[-2]
        self.n_steps = states.shape[-3] - 1
        small = states.device.type == "cpu" and n_units * n_units * batch <= _SMALL_PRODUCT
        self._xp: Any = np if small else torch
        self.states = states
        self.sent = torch.empty_like(states[..., 1:, :, :])
        states[..., 0, :, :] = x0[..., :n_units]
        with np.errstate(all="ignore"):  # what is not finite is found, and reported, afterwards
            if isinstance(network, SpikingNetwork):
                self.synapses = x0[..., n_units:].clone()
                self._spiking(network)
            elif isinstance(network, TanhNetwork):
                self._tanh()
            else:
                self._binary()

    def finite(self) -> bool:
        """Whether every state is finite."""
        return bool(torch.isfinite(self.states.sum())) or bool(torch.isfinite(self.states).all())

    def _steps(self, x: Tensor) -> list[Any]:
        """Views of every step."""
        array: Any = x.numpy() if self._xp is np else x
        return [array[..., n, :, :] for n in range(x.shape[-3])]

    def _buffer(self) -> Any:
        like: Any = self.states[..., 0, :, :]
        return np.empty(like.shape, like.numpy().dtype) if self._xp is np else torch.empty_like(like)

    def _own(self, x: Tensor) -> Any:
        x = x.contiguous()
        return x.numpy() if self._xp is np else x

    def _tanh(self) -> None:
        xp, x, a, received = self._xp, self._steps(self.states), self._steps(self.sent), self._buffer()
        transposed = self._own(self.J.transpose(-1, -2))
        for n in range(self.n_steps):
            xp.tanh(x[n], out=a[n])
            xp.matmul(a[n], transposed, out=received)
            xp.add(x[n + 1], received, out=x[n + 1])

    def _binary(self) -> None:
        xp, x, a, received = self._xp, self._steps(self.states), self._steps(self.sent), self._buffer()
        transposed = self._own(self.J.transpose(-1, -2))
        for n in range(self.n_steps):
            xp.sign(x[n], out=a[n])
            if not a[n].all():  # a state of exactly zero, whose sign is -1 here and 0 there
                a[n][a[n] == 0] = -1
            xp.matmul(a[n], transposed, out=received)
            xp.add(x[n + 1], received, out=x[n + 1])

    def _spiking(self, network: SpikingNetwork) -> None:
        alpha, beta, c = network.synaptic_decay, network.membrane_decay, network.membrane_gain
        xp, mem, o, received = self._xp, self._steps(self.states), self._steps(self.sent), self._buffer()
        transposed = self._own(self.J.transpose(-1, -2))
        syn, kept = self._own(self.synapses), self._buffer()
        for n in range(self.n_steps):
            following = mem[n + 1]
            xp.greater(mem[n], network.threshold, out=o[n])
            xp.matmul(o[n], transposed, out=received)
            xp.add(following, received, out=following)
            if alpha:
                xp.multiply(syn, alpha, out=syn)
                xp.add(syn, following, out=syn)
                xp.multiply(syn, c, out=following)
            elif c != 1:
                xp.multiply(following, c, out=following)
            if beta:
                xp.multiply(mem[n], beta, out=kept)
                xp.add(following, kept, out=following)
            xp.subtract(1, o[n], out=kept)
            xp.multiply(following, kept, out=following)

    def adjoint(self, bars: Tensor, *, consume: bool = False) -> tuple[Tensor, Tensor]:
        """The reverse pass.

        Args:
            bars: dL/dx_n of the states after every step as far as L depends on them directly, (..., T, B, N);
                overwritten.
            consume: whether the states may be overwritten as well, which saves an array of their size.

        Returns:
            dL/dh (..., T, B, N), where h = J a + u is what the units receive, in the memory of ``bars``; and dL/dx0
            (..., B, n_states).
        """
        before = self.states[..., :-1, :, :]
        slopes = before if consume else torch.empty_like(before)
        if isinstance(self.network, SpikingNetwork):
            surrogate, threshold = self.network.spike_surrogate, self.network.threshold
            _by_chunks(lambda x: surrogate.derivative(x - threshold), before, slopes)
            return bars, self._reverse_spiking(self.network, bars, slopes)
        if isinstance(self.network, TanhNetwork):
            torch.mul(self.sent, self.sent, out=slopes)
            torch.sub(1, slopes, out=slopes)
        else:
            _by_chunks(self.network.surrogate.derivative, before, slopes)
        return bars, self._reverse_rate(bars, slopes)

    def _reverse_rate(self, bars: Tensor, slopes: Tensor) -> Tensor:
        x0_bar = torch.zeros_like(bars[..., 0, :, :])
        xp, J, sent_back = self._xp, self._own(self.J), self._buffer()
        h, slope = [self._own(x0_bar), *self._steps(bars)], self._steps(slopes)
        with np.errstate(all="ignore"):
            for n in range(self.n_steps - 1, -1, -1):
                xp.matmul(h[n + 1], J, out=sent_back)
                xp.multiply(sent_back, slope[n], out=sent_back)
                xp.add(h[n], sent_back, out=h[n])
        return x0_bar

    def _reverse_spiking(self, network: SpikingNetwork, bars: Tensor, slopes: Tensor) -> Tensor:
        """The reset's factor is a constant here."""
        alpha, beta, c = network.synaptic_decay, network.membrane_decay, network.membrane_gain
        mem0_bar = torch.zeros_like(bars[..., 0, :, :])
        syn0_bar = torch.zeros_like(mem0_bar)
        xp, J, sent_back, kept = self._xp, self._own(self.J), self._buffer(), self._buffer()
        bar, slope, o = [self._own(mem0_bar), *self._steps(bars)], self._steps(slopes), self._steps(self.sent)
        syn_bar = self._own(syn0_bar)
        with np.errstate(all="ignore"):
            for n in range(self.n_steps - 1, -1, -1):
                h, past = bar[n + 1], bar[n]
                xp.subtract(1, o[n], out=kept)
                xp.multiply(h, kept, out=h)
                if beta:
                    xp.multiply(h, beta, out=kept)
                    xp.add(past, kept, out=past)
                if c != 1:
                    xp.multiply(h, c, out=h)
                if alpha:
                    xp.add(h, syn_bar, out=h)
                    xp.multiply(h, alpha, out=syn_bar)
                xp.matmul(h, J, out=sent_back)
                xp.multiply(sent_back, slope[n], out=sent_back)
                xp.add(past, sent_back, out=past)
        return torch.cat([mem0_bar, syn0_bar], dim=-1)


def _by_chunks(function: Any, x: Tensor, out: Tensor) -> None:
    """out = function(x) elementwise, some steps at a time; ``out`` may be ``x``."""
    steps = max(1, _CHUNK // max(1, x[..., 0, :, :].numel()))
    for start in range(0, x.shape[-3], steps):
        out[..., start : start + steps, :, :] = function(x[..., start : start + steps, :, :])


def flat(x: Tensor) -> Tensor:
    """(..., T, B, N) as (..., T B, N)."""
    return x.flatten(-3, -2)
