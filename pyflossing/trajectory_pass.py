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
from pyflossing.room import Room, fresh

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
        room: where further arrays of that size come from.
    """

    def __init__(self, network: BuiltIn, J: Tensor, x0: Tensor, states: Tensor, room: Room = fresh) -> None:
        self.network, self.J, self._room = network, J, room
        n_units, batch = states.shape[-1], states.shape[-2]
        self.n_steps = states.shape[-3] - 1
        small = states.device.type == "cpu" and n_units * n_units * batch <= _SMALL_PRODUCT
        self._xp: Any = np if small else torch
        self._product: Any = np.dot if small and J.ndim == 2 else self._xp.matmul  # of two matrices the same, sooner
        self.states = states
        self.sent = room("sent", states[..., 1:, :, :].shape, states)
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

    def _buffer(self, dtype: torch.dtype | None = None) -> Any:
        return self._own(torch.empty(self.sent[..., 0, :, :].shape, dtype=dtype or self.J.dtype, device=self.J.device))

    def _own(self, x: Tensor) -> Any:
        x = x.contiguous()
        return x.numpy() if self._xp is np else x

    def _scalar(self, value: float) -> Any:
        """As an array, which takes less time in a call than a number of Python."""
        return self._own(self.J.new_tensor(value))

    def _tanh(self) -> None:
        xp, x, a, received = self._xp, self._steps(self.states), self._steps(self.sent), self._buffer()
        product, transposed = self._product, self._own(self.J.transpose(-1, -2))
        for n in range(self.n_steps):
            xp.tanh(x[n], out=a[n])
            product(a[n], transposed, out=received)
            xp.add(x[n + 1], received, out=x[n + 1])

    def _binary(self) -> None:
        xp, x, a, received = self._xp, self._steps(self.states), self._steps(self.sent), self._buffer()
        product, transposed = self._product, self._own(self.J.transpose(-1, -2))
        for n in range(self.n_steps):
            xp.sign(x[n], out=a[n])
            if not _no_zero(a[n]):  # a state of exactly zero, whose sign is -1 here and 0 there
                a[n][a[n] == 0] = -1
            product(a[n], transposed, out=received)
            xp.add(x[n + 1], received, out=x[n + 1])

    def _spiking(self, network: SpikingNetwork) -> None:
        xp, mem, o, received = self._xp, self._steps(self.states), self._steps(self.sent), self._buffer()
        product, transposed = self._product, self._own(self.J.transpose(-1, -2))
        one, threshold = self._scalar(1), self._scalar(network.threshold)
        alpha, beta, c = map(self._scalar, (network.synaptic_decay, network.membrane_decay, network.membrane_gain))
        spikes, syn, kept = self._buffer(torch.bool), self._own(self.synapses), self._buffer()
        for n in range(self.n_steps):
            following = mem[n + 1]
            xp.greater(mem[n], threshold, out=spikes)
            o[n][...] = spikes  # in two steps: a comparison that converts its result takes longer
            product(o[n], transposed, out=received)
            xp.add(following, received, out=following)
            if network.synaptic_decay:
                xp.multiply(syn, alpha, out=syn)
                xp.add(syn, following, out=syn)
                xp.multiply(syn, c, out=following)
            elif network.membrane_gain != 1:
                xp.multiply(following, c, out=following)
            if network.membrane_decay:
                xp.multiply(mem[n], beta, out=kept)
                xp.add(following, kept, out=following)
            xp.subtract(one, o[n], out=kept)
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
        slopes = before if consume else before.clone()
        if isinstance(self.network, SpikingNetwork):
            return bars, self._reverse_spiking(self.network, bars, slopes)
        if isinstance(self.network, TanhNetwork):
            torch.mul(self.sent, self.sent, out=slopes)
            torch.sub(1, slopes, out=slopes)
        else:
            for part in self._parts():
                self.network.sign_surrogate.derivative_(slopes[..., part, :, :])
        return bars, self._reverse_rate(bars, slopes)

    def _parts(self) -> list[slice]:
        """Some steps at a time, so that a chain of elementwise functions stays in the cache."""
        steps = max(1, _CHUNK // max(1, self.sent[..., 0, :, :].numel()))
        return [slice(n, min(n + steps, self.n_steps)) for n in range(0, self.n_steps, steps)]

    def _reverse_rate(self, bars: Tensor, slopes: Tensor) -> Tensor:
        x0_bar = torch.zeros_like(bars[..., 0, :, :])
        xp, product, J, sent_back = self._xp, self._product, self._own(self.J), self._buffer()
        h, slope = [self._own(x0_bar), *self._steps(bars)], self._steps(slopes)
        with np.errstate(all="ignore"):
            for n in range(self.n_steps - 1, -1, -1):
                product(h[n + 1], J, out=sent_back)
                xp.multiply(sent_back, slope[n], out=sent_back)
                xp.add(h[n], sent_back, out=h[n])
        return x0_bar

    def _reverse_spiking(self, network: SpikingNetwork, bars: Tensor, slopes: Tensor) -> Tensor:
        """The reset's factor is a constant here. It multiplies all that reaches a membrane, and is put there first."""
        for part in self._parts():
            network.spike_surrogate.derivative_(slopes[..., part, :, :].sub_(network.threshold))
        reset, later = self.sent[..., :-1, :, :], slopes[..., 1:, :, :]
        bars.addcmul_(bars, self.sent, value=-1)
        later.addcmul_(later, reset, value=-1)
        leak = slopes
        if network.membrane_decay:
            leak = self._room("leak", bars.shape, bars).fill_(network.membrane_decay)
            leak[..., 1:, :, :].addcmul_(leak[..., 1:, :, :], reset, value=-1)

        mem0_bar = torch.zeros_like(bars[..., 0, :, :])
        syn0_bar = torch.zeros_like(mem0_bar)
        xp, product, J, sent_back, kept = self._xp, self._product, self._own(self.J), self._buffer(), self._buffer()
        alpha, c = self._scalar(network.synaptic_decay), self._scalar(network.membrane_gain)
        bar, slope, decay = [self._own(mem0_bar), *self._steps(bars)], self._steps(slopes), self._steps(leak)
        syn_bar = self._own(syn0_bar)
        with np.errstate(all="ignore"):
            for n in range(self.n_steps - 1, -1, -1):
                h, past = bar[n + 1], bar[n]
                if network.membrane_decay:
                    xp.multiply(h, decay[n], out=kept)
                    xp.add(past, kept, out=past)
                if network.membrane_gain != 1:
                    xp.multiply(h, c, out=h)
                if network.synaptic_decay:
                    xp.add(h, syn_bar, out=h)
                    xp.multiply(h, alpha, out=syn_bar)
                product(h, J, out=sent_back)
                xp.multiply(sent_back, slope[n], out=sent_back)
                xp.add(past, sent_back, out=past)
        return torch.cat([mem0_bar, syn0_bar], dim=-1)


def _no_zero(signs: Any) -> bool:
    if isinstance(signs, np.ndarray) and signs.flags.c_contiguous:
        row = signs.reshape(-1)  # of signs, whose squares add up to their number without rounding
        return bool(row.dot(row) == len(row))
    return bool(signs.all())


def flat(x: Tensor) -> Tensor:
    """(..., T, B, N) as (..., T B, N)."""
    return x.flatten(-3, -2)
