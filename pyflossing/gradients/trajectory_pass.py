"""States over time, and the reverse pass through them, written out: one loop forward, one back, no graph.

Arrays are batch-major here, (..., T, B, N), so that steps are contiguous and the weights' gradients are products of
large matrices; the dots are any leading dimensions, of an ensemble for instance, which lie within the steps in memory
(:func:`by_steps`). Both loops can run a part of the steps at a time. They call numpy where a step's product is small,
because its calls cost a third of torch's, and torch elsewhere; both have the few functions that are used under the same
names. Agrees with :func:`pyflossing.model.loss.trajectory` (a test shows it).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyflossing.gradients.memory import Room, fresh
from pyflossing.model.networks import BuiltIn, SpikingNetwork, TanhNetwork

_SMALL_PRODUCT = 2**18
"""Multiplications up to which OpenBLAS keeps to one thread: the trainer sets torch's number of threads, not numpy's."""

_PART = 2**19
"""Entries of the states of a part: few enough to be still near when its readout, or its share of the gradient, is
taken, and enough for a part's own cost not to matter (measured, for one network and for nine)."""

_CHUNK = 2**15
"""Entries that are taken at once where a chain of elementwise functions should stay in the cache."""

_ON_GPU = 32
"""How many times as many a GPU takes, where every call costs more and the cache is another: a guess, not measured."""


def batch_major(x: Tensor) -> Tensor:
    """(..., N, B) as (..., B, N), contiguous."""
    return x.transpose(-1, -2).contiguous()


def by_steps(room: Room, role: str, shape: Sequence[int], like: Tensor) -> Tensor:
    """Room for (..., T, B, N), the dots within the steps in memory: one step of all networks is one piece."""
    *leading, steps, batch, n_units = shape
    return room(role, (steps, *leading, batch, n_units), like).movedim(0, -3)


class TrajectoryPass:
    """The states of a batch under its drive, and the adjoint of them, a part of the steps at a time.

    Args:
        network: one of the three built-in ones.
        J: (..., N, N).
        x0: (..., B, n_states), of spiking units membranes first.
        states: (..., T + 1, B, N), holding the units' drive u_n in its entry n + 1; :meth:`forward` puts the states
            seen by the readout (x, or the membranes) in its place.
        room: where further large arrays come from.
    """

    def __init__(self, network: BuiltIn, J: Tensor, x0: Tensor, states: Tensor, room: Room = fresh) -> None:
        self.network, self.J, self._room = network, J, room
        n_units, batch = states.shape[-1], states.shape[-2]
        self.n_steps = states.shape[-3] - 1
        small = states.device.type == "cpu" and n_units * n_units * batch <= _SMALL_PRODUCT
        self._xp: Any = np if small else torch
        self._product: Any = np.dot if small and J.ndim == 2 else self._xp.matmul  # of two matrices the same, sooner
        self.states = states
        self.sent = by_steps(room, "sent", states[..., 1:, :, :].shape, states)
        states[..., 0, :, :] = x0[..., :n_units]
        self._synapses = self._own(x0[..., n_units:].clone()) if isinstance(network, SpikingNetwork) else None

    def parts(self) -> list[slice]:
        """The steps, some at a time, in order."""
        return self._slices(self.n_steps, _PART)

    def scratch(self, role: str, n_steps: int) -> Tensor:
        """Room for n_steps of a part, (..., n_steps, B, N): the same memory for parts of all lengths."""
        *leading, _, batch, n_units = self.sent.shape
        longest = max(n_steps, self.parts()[0].stop)
        return by_steps(self._room, role, (*leading, longest, batch, n_units), self.sent)[..., :n_steps, :, :]

    def _slices(self, n_steps: int, entries: int) -> list[slice]:
        at_once = entries if self.states.device.type == "cpu" else _ON_GPU * entries
        steps = max(1, at_once // max(1, self.sent[..., 0, :, :].numel()))
        return [slice(n, min(n + steps, n_steps)) for n in range(0, n_steps, steps)]

    def forward(self, part: slice | None = None) -> None:
        """The states of the steps of one part, after those before it; by default of all."""
        start, stop = self._bounds(part)
        x, a = self._steps(self.states[..., start : stop + 1, :, :]), self._steps(self.sent[..., start:stop, :, :])
        with np.errstate(all="ignore"):  # what is not finite is found, and reported, afterwards
            if isinstance(self.network, SpikingNetwork):
                self._spiking(self.network, x, a)
            elif isinstance(self.network, TanhNetwork):
                self._tanh(x, a)
            else:
                self._binary(x, a)

    def _bounds(self, part: slice | None) -> tuple[int, int]:
        return (0, self.n_steps) if part is None else (part.start, part.stop)

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
        return self._own(self.J.new_full((), value))

    @cached_property
    def _transposed(self) -> Any:
        return self._own(self.J.transpose(-1, -2))

    @cached_property
    def _received(self) -> Any:
        return self._buffer()

    def _tanh(self, x: list[Any], a: list[Any]) -> None:
        xp, product, transposed, received = self._xp, self._product, self._transposed, self._received
        for n in range(len(a)):
            xp.tanh(x[n], out=a[n])
            product(a[n], transposed, out=received)
            xp.add(x[n + 1], received, out=x[n + 1])

    def _binary(self, x: list[Any], a: list[Any]) -> None:
        xp, product, transposed, received = self._xp, self._product, self._transposed, self._received
        half = self._scalar(0.5)
        for n in range(len(a)):
            xp.sign(x[n], out=a[n])
            # a state of exactly zero, whose sign is -1 here and 0 there
            if xp is torch:  # and no look at the numbers, for which a GPU would have to be waited for
                torch.sign(torch.sub(a[n], half, out=a[n]), out=a[n])
            elif not _no_zero(a[n]):
                a[n][a[n] == 0] = -1
            product(a[n], transposed, out=received)
            xp.add(x[n + 1], received, out=x[n + 1])

    def _spiking(self, network: SpikingNetwork, mem: list[Any], o: list[Any]) -> None:
        xp, product, transposed, received, syn = (
            self._xp, self._product, self._transposed, self._received, self._synapses
        )  # fmt: skip
        one, threshold = self._scalar(1), self._scalar(network.threshold)
        alpha, beta, c = map(self._scalar, (network.synaptic_decay, network.membrane_decay, network.membrane_gain))
        spikes, kept = self._buffer(torch.bool), self._buffer()
        for n in range(len(o)):
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

    def adjoint(
        self, bars: Tensor, part: slice | None = None, after: Tensor | None = None, *, consume: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The reverse pass through the steps of one part, by default through all: specification (6.2) to (6.4).

        Args:
            bars: dL/dx_n of the states after each of these steps as far as L depends on them directly, (..., steps, B,
                N); overwritten.
            part: of the steps.
            after: dL/dx of the state after the part, (..., B, n_states), as far as L depends on it through later steps:
                what this method returned for them.
            consume: whether the states before these steps may be overwritten, which saves an array of their size.

        Returns:
            dL/dh (..., steps, B, N), where h = J a + u is what the units receive, in the memory of ``bars``; and dL/dx
            of the state before the part, (..., B, n_states).
        """
        start, stop = self._bounds(part)
        n_units = bars.shape[-1]
        if after is not None:
            bars[..., -1, :, :] += after[..., :n_units]
        before, sent = self.states[..., start:stop, :, :], self.sent[..., start:stop, :, :]
        slopes = before if consume else before.clone()
        if isinstance(self.network, SpikingNetwork):
            syn_bar = torch.zeros_like(bars[..., 0, :, :]) if after is None else after[..., n_units:].contiguous()
            return bars, self._reverse_spiking(self.network, bars, slopes, sent, syn_bar)
        if isinstance(self.network, TanhNetwork):
            torch.mul(sent, sent, out=slopes)
            torch.sub(1, slopes, out=slopes)
        else:
            for chunk in self._slices(slopes.shape[-3], _CHUNK):
                self.network.sign_surrogate.derivative_(slopes[..., chunk, :, :])
        return bars, self._reverse_rate(bars, slopes)

    def _reverse_rate(self, bars: Tensor, slopes: Tensor) -> Tensor:
        x_bar = torch.zeros_like(bars[..., 0, :, :])
        xp, product, J, sent_back = self._xp, self._product, self._own(self.J), self._received
        h, slope = [self._own(x_bar), *self._steps(bars)], self._steps(slopes)
        with np.errstate(all="ignore"):
            for n in range(len(slope) - 1, -1, -1):
                product(h[n + 1], J, out=sent_back)
                xp.multiply(sent_back, slope[n], out=sent_back)
                xp.add(h[n], sent_back, out=h[n])
        return x_bar

    def _reverse_spiking(
        self, network: SpikingNetwork, bars: Tensor, slopes: Tensor, sent: Tensor, syn_bar: Tensor
    ) -> Tensor:
        """The reset's factor is a constant here. It multiplies all that reaches a membrane, and is put there first."""
        for chunk in self._slices(slopes.shape[-3], _CHUNK):
            network.spike_surrogate.derivative_(slopes[..., chunk, :, :].sub_(network.threshold))
        reset, later = sent[..., :-1, :, :], slopes[..., 1:, :, :]
        bars.addcmul_(bars, sent, value=-1)
        later.addcmul_(later, reset, value=-1)
        leak = slopes
        if network.membrane_decay:
            leak = self.scratch("leak", bars.shape[-3]).fill_(network.membrane_decay)
            leak[..., 1:, :, :].addcmul_(leak[..., 1:, :, :], reset, value=-1)

        mem_bar = torch.zeros_like(bars[..., 0, :, :])
        xp, product, J, sent_back, kept = self._xp, self._product, self._own(self.J), self._received, self._buffer()
        alpha, c = self._scalar(network.synaptic_decay), self._scalar(network.membrane_gain)
        bar, slope, decay = [self._own(mem_bar), *self._steps(bars)], self._steps(slopes), self._steps(leak)
        own_syn_bar = self._own(syn_bar)
        with np.errstate(all="ignore"):
            for n in range(len(slope) - 1, -1, -1):
                h, past = bar[n + 1], bar[n]
                if network.membrane_decay:
                    xp.multiply(h, decay[n], out=kept)
                    xp.add(past, kept, out=past)
                if network.membrane_gain != 1:
                    xp.multiply(h, c, out=h)
                if network.synaptic_decay:
                    xp.add(h, own_syn_bar, out=h)
                    xp.multiply(h, alpha, out=own_syn_bar)
                product(h, J, out=sent_back)
                xp.multiply(sent_back, slope[n], out=sent_back)
                xp.add(past, sent_back, out=past)
        return torch.cat([mem_bar, syn_bar], dim=-1)


def _no_zero(signs: Any) -> bool:
    if signs.flags.c_contiguous:
        row = signs.reshape(-1)  # of signs, whose squares add up to their number without rounding
        return bool(row.dot(row) == len(row))
    return bool(signs.all())


def flat(x: Tensor) -> Tensor:
    """(..., T, B, N) as (..., T B, N)."""
    return x.flatten(-3, -2)
