"""The passes through states and frames by the compiled kernel: arrays allocated, and addresses handed over."""

from __future__ import annotations

import ctypes
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyflossing.gradients.kernel.library import Frames, address, line
from pyflossing.gradients.kernel.library import Network as CNetwork
from pyflossing.gradients.memory import reused
from pyflossing.model.networks import BinaryNetwork, BuiltIn, SpikingNetwork
from pyflossing.model.surrogates import SURROGATE_NAMES, Surrogate

_CHUNK = 128
"""CHUNK of kernel.c."""


class Judgement(NamedTuple):
    """Loss and accuracy, the gradient of the offset (1,), and whether every readout was finite."""

    loss: float
    accuracy: float
    offset: Tensor
    finite: bool


class StatesGradient(NamedTuple):
    """Of ws (N, S), J, b (N,) and x0 (n_states, B); wr (N,) where there was a readout; and whether all are finite."""

    ws: Tensor
    J: Tensor
    b: Tensor
    x0: Tensor
    wr: Tensor | None
    finite: bool


class States:
    """The states of a batch from x0 (n_states, B) under inputs (T, B, S), and the way back.

    Args:
        kernel: the library.
        network: one of the three built-in ones.
        ws, J, b, wr, x0: contiguous; wr (N,) or None.
        inputs: (T, B, S), contiguous.

    Attributes:
        n_steps: T.
        all_seen: states that the readout sees, from the start on, (T + 1, B, ld), the rows filled up to lines.
        readouts: (T, B) without the offset, or None.
        starts_finite: whether x0 is.
    """

    def __init__(
        self,
        kernel: Any,
        network: BuiltIn,
        ws: Tensor,
        J: Tensor,
        b: Tensor,
        wr: Tensor | None,
        x0: Tensor,
        inputs: Tensor,
    ) -> None:
        self._kernel, self._net = kernel, _c_network(network)
        self._ws, self._J, self._wr, self._inputs = ws, J, wr, inputs
        steps, batch, channels = inputs.shape
        n, ld = len(J), line(len(J), J)
        self._sizes = (n, batch, steps, channels)
        self.n_steps = steps
        self.all_seen = reused("compiled states", (steps + 1, batch, ld), J)
        self._sent = reused("compiled sent", (steps, batch, ld), J)
        chunk = max(1, _CHUNK // batch) + 1
        self._room = reused("compiled room", (2 * n * ld + (channels + 3) * ld + (2 + chunk) * batch * ld,), J)
        self._x0_shape = x0.shape
        self.readouts = None if wr is None else J.new_empty(steps, batch)
        arrays = (J, ws, b, wr, x0, inputs, self.all_seen, self._sent, self.readouts, self._room)
        self.starts_finite = bool(kernel.states_forward(ctypes.byref(self._net), *self._sizes, *map(address, arrays)))

    @property
    def seen(self) -> Tensor:
        """Of ``all_seen`` what is there: (T + 1, B, N)."""
        return self.all_seen[..., : self._sizes[0]]

    def judge(self, targets: Tensor, offset: float, first: int, count: int) -> Judgement:
        """Loss and accuracy of the steps from ``first`` on, counted from 0; the readouts' adjoints take their place."""
        assert self.readouts is not None
        loss, accuracy, offset_bar = ctypes.c_double(), ctypes.c_double(), self._J.new_empty(1)
        finite = self._kernel.judge(
            self.n_steps,
            targets.shape[1],
            first,
            count,
            offset,
            *map(address, (targets, self.readouts)),
            ctypes.byref(loss),
            ctypes.byref(accuracy),
            address(offset_bar),
        )
        return Judgement(loss.value, accuracy.value, offset_bar, bool(finite))

    def adjoint(
        self, readout_bars: Tensor | None, bars: Tensor | None = None, J_bar: Tensor | None = None
    ) -> StatesGradient:
        """From dL/dr (T, B), or from dL/dx_n as far as L depends on it directly (T, B, N); J_bar is added to."""
        ws, J, inputs = self._ws, self._J, self._inputs
        ws_bar, b_bar, x0_bar = torch.empty_like(ws), J.new_empty(len(J)), J.new_empty(self._x0_shape)
        J_bar = torch.zeros_like(J) if J_bar is None else J_bar
        wr_bar = None if self._wr is None else torch.empty_like(self._wr)
        given = (J, self._wr, inputs, self.all_seen, self._sent, readout_bars, bars)
        pointers = map(address, (*given, J_bar, ws_bar, wr_bar, b_bar, x0_bar, self._room))
        finite = self._kernel.states_backward(ctypes.byref(self._net), *self._sizes, *pointers)
        return StatesGradient(ws_bar, J_bar, b_bar, x0_bar, wr_bar, bool(finite))


class FrameChain:
    """A frame along one trial, decomposed in blocks, with the exponents, and the way back; see SpectrumPass for blocks.

    Args:
        kernel: the library.
        network: one of the three built-in ones.
        J: (N, N).
        Q: orthonormal frame at the start, (n_states, k), contiguous.
        states: of the trial, with one column.
        blocks_from: step at which the sum of logarithms begins.
        target: of the exponents, 1/step.
        block_spread, longest_block, widest_spread: of blocks, as SpectrumPass has them.

    Attributes:
        exponents: (k,), 1/step.
        loss: mean squared distance from the target.
        finite: whether all logarithms are.
    """

    def __init__(
        self,
        kernel: Any,
        network: BuiltIn,
        J: Tensor,
        Q: Tensor,
        states: States,
        blocks_from: int,
        target: float,
        block_spread: float,
        longest_block: int,
        widest_spread: float,
    ) -> None:
        self._kernel, self._J = kernel, J
        (n, k), steps = (len(J), Q.shape[1]), states.n_steps
        halves, kind, decays = _frame_kind(network, n, k)
        chosen = (blocks_from, longest_block, *_jacobian(network), block_spread, widest_spread, target)
        self._chain = Frames(kind, n, k, steps, *chosen, *decays)
        ld, ldk = line(n, J), line(k, J)
        width = halves * ld
        backward = 2 * n * ld + ldk + ld + k * width + 2 * k * ld + k * ldk + width * ldk
        forward = n * ld + max(width * ldk, (k + 1) * width)
        self._kept = (
            reused("compiled frames", (steps + 1, k, width), J),
            reused("compiled products", (steps, k, ld), J),
            reused("compiled triangles", (steps, k, ldk), J),
            torch.empty(steps, dtype=torch.int32),
            reused("compiled gains", (3, steps, ld), J),
        )
        self._room = reused("compiled room of frames", (max(backward, forward),), J)
        self.exponents, self._weights = J.new_empty(k), J.new_empty(k)
        loss, logs = ctypes.c_double(), reused("compiled logarithms", (steps, k), J)
        given, found = (J, Q, states.all_seen, *self._kept, logs), (self.exponents, self._weights)
        pointers = (*map(address, (*given, *found)), ctypes.byref(loss), address(self._room))
        self.finite = bool(kernel.frames_forward(ctypes.byref(self._chain), *pointers))
        self.loss = loss.value

    def adjoint(self) -> tuple[Tensor, Tensor]:
        """dL/dJ of the Jacobians alone, and dL/dx (T, 1, N) after each step as far as they depend on it."""
        J_bar, direct = torch.empty_like(self._J), self._J.new_empty(self._chain.n_steps, 1, len(self._J))
        arrays = (self._J, *self._kept, self._weights, J_bar, direct, self._room)
        self._kernel.frames_backward(ctypes.byref(self._chain), *map(address, arrays))
        return J_bar, direct


def _c_network(network: BuiltIn) -> CNetwork:
    if isinstance(network, SpikingNetwork):
        constants = (network.threshold, network.synaptic_decay, network.membrane_decay, network.membrane_gain)
        return CNetwork(2, *_named(network.spike_surrogate), *constants)
    if isinstance(network, BinaryNetwork):
        return CNetwork(1, *_named(network.sign_surrogate))
    return CNetwork(0)


def _jacobian(network: BuiltIn) -> tuple[int, int, int, float, float]:
    """The units' kind, the surrogate in their Jacobian by its place, whether the Jacobian has the factor of the reset,
    the surrogate's sharpness, and the threshold."""
    if isinstance(network, SpikingNetwork):
        name, sharpness = _named(network.jacobian_surrogate)
        return 2, name, int(network.jacobian_reset == "factor"), sharpness, network.threshold
    name, sharpness = _named(network.surrogate) if isinstance(network, BinaryNetwork) else (0, 0.0)
    return int(isinstance(network, BinaryNetwork)), name, 0, sharpness, 0.0


def _named(surrogate: Surrogate) -> tuple[int, float]:
    return SURROGATE_NAMES.index(surrogate.name), surrogate.sharpness


def _frame_kind(network: BuiltIn, n_units: int, k: int) -> tuple[int, int, tuple[float, ...]]:
    """Halves of a frame, the kind in frames.h, and the decays and gains."""
    if not isinstance(network, SpikingNetwork):
        return 1, 0, ()
    c = network.membrane_gain
    decays = (network.synaptic_decay, network.membrane_decay, c, math.hypot(1, c))
    if network.synaptic_decay or network.membrane_decay or k > n_units:
        return 2, 1, (*decays[:3], c)
    return 1, 2, decays
