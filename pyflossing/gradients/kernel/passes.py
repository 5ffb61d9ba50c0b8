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


class StatesGradient(NamedTuple):
    """Of ws (N, S), J, b (N,) and x0 (n_states, B); wr (N,) where there was a readout."""

    ws: Tensor
    J: Tensor
    b: Tensor
    x0: Tensor
    wr: Tensor | None


class States:
    """The states of a batch from x0 (n_states, B) under inputs (T, B, S), and the way back.

    Args:
        kernel: the library.
        network: one of the three built-in ones.
        ws, J, b, wr, x0: contiguous; wr (N,) or None.
        inputs: (T, B, S), contiguous.

    Attributes:
        seen: states that the readout sees, from the start on, (T + 1, B, N).
        readouts: (T, B) without the offset, or None.
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
        self._states = reused("compiled states", (steps + 1, batch, ld), J)
        self._sent = reused("compiled sent", (steps, batch, ld), J)
        chunk = max(1, _CHUNK // batch) + 1
        self._room = reused("compiled room", (2 * n * ld + (channels + 3) * ld + (2 + chunk) * batch * ld,), J)
        self._x0_shape = x0.shape
        self.readouts = None if wr is None else J.new_empty(steps, batch)
        arrays = (J, ws, b, wr, x0, inputs, self._states, self._sent, self.readouts, self._room)
        kernel.states_forward(ctypes.byref(self._net), *self._sizes, *map(address, arrays))

    @property
    def seen(self) -> Tensor:
        return self._states[..., : self._sizes[0]]

    def adjoint(
        self, readout_bars: Tensor | None, bars: Tensor | None = None, J_bar: Tensor | None = None
    ) -> StatesGradient:
        """From dL/dr (T, B), or from dL/dx_n as far as L depends on it directly (T, B, N); J_bar is added to."""
        ws, J, inputs = self._ws, self._J, self._inputs
        result = StatesGradient(
            torch.empty_like(ws),
            torch.zeros_like(J) if J_bar is None else J_bar,
            J.new_empty(len(J)),
            J.new_empty(self._x0_shape),
            None if self._wr is None else torch.empty_like(self._wr),
        )
        arrays = (
            J, self._wr, inputs, self._states, self._sent, readout_bars, bars,
            result.J, result.ws, result.wr, result.b, result.x0, self._room,
        )  # fmt: skip
        self._kernel.states_backward(ctypes.byref(self._net), *self._sizes, *map(address, arrays))
        return result


class FrameChain:
    """A frame along one trial, decomposed in blocks, and the way back; see SpectrumPass for what that means.

    Args:
        kernel: the library.
        network: one of the three built-in ones.
        J: (N, N).
        Q: orthonormal frame at the start, (n_states, k), contiguous.
        gains: diagonals of the Jacobians, (T, N), contiguous.
        blocks_from: step at which the sum of logarithms begins.
        block_spread, longest_block, widest_spread: of blocks, as SpectrumPass has them.

    Attributes:
        logs: (T, k).
    """

    def __init__(
        self,
        kernel: Any,
        network: BuiltIn,
        J: Tensor,
        Q: Tensor,
        gains: Tensor,
        blocks_from: int,
        block_spread: float,
        longest_block: int,
        widest_spread: float,
    ) -> None:
        self._kernel, self._J, self._gains = kernel, J, gains
        (steps, n), k = gains.shape, Q.shape[1]
        halves, kind, decays = _frame_kind(network, n, k)
        self._chain = Frames(kind, n, k, steps, blocks_from, longest_block, block_spread, widest_spread, *decays)
        ld, ldk = line(n, J), line(k, J)
        width = halves * ld
        self._frames = reused("compiled frames", (steps + 1, k, width), J)
        self._sent = reused("compiled products", (steps, k, ld), J)
        self._triangles = reused("compiled triangles", (steps, k, ldk), J)
        self._decomposed = torch.empty(steps, dtype=torch.int32)
        backward = 2 * (n + 1 + k) * ld + k * width + k * ldk + width * ldk
        forward = (n + 1) * ld + max(width * ldk, (k + 1) * width)
        self._room = reused("compiled room of frames", (max(backward, forward),), J)
        self.logs = J.new_empty(steps, k)
        arrays = (J, Q, gains, self._frames, self._sent, self._triangles, self._decomposed, self.logs, self._room)
        kernel.frames_forward(ctypes.byref(self._chain), *map(address, arrays))

    def adjoint(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """From dL/dlogs (T, k): dL/dJ of the Jacobians alone, and the sums over directions (T, N) of (8.5) or (8.7)."""
        J_bar, direct = torch.empty_like(self._J), torch.empty_like(self._gains)
        arrays = (
            self._J, self._gains, weights, self._frames, self._sent, self._triangles, self._decomposed,
            J_bar, direct, self._room,
        )  # fmt: skip
        self._kernel.frames_backward(ctypes.byref(self._chain), *map(address, arrays))
        return J_bar, direct


def _c_network(network: BuiltIn) -> CNetwork:
    if isinstance(network, SpikingNetwork):
        constants = (network.threshold, network.synaptic_decay, network.membrane_decay, network.membrane_gain)
        return CNetwork(2, *_named(network.spike_surrogate), *constants)
    if isinstance(network, BinaryNetwork):
        return CNetwork(1, *_named(network.sign_surrogate))
    return CNetwork(0)


def _named(surrogate: Surrogate) -> tuple[int, float]:
    return SURROGATE_NAMES.index(surrogate.name), surrogate.sharpness


def _frame_kind(network: BuiltIn, n_units: int, k: int) -> tuple[int, int, tuple[float, ...]]:
    """Halves of a frame, the kind in frames.h, and the decays and gains."""
    if not isinstance(network, SpikingNetwork):
        return 1, 0, ()
    c = network.membrane_gain
    decays = (network.synaptic_decay, network.membrane_decay, c, math.hypot(1, c))
    if network.synaptic_decay or network.membrane_decay or k > n_units:
        return 2, 1, decays[:3] + (c,)
    return 1, 2, decays
