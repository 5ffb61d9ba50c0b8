"""The three networks as pure functions of their state: one step, and the action of its Jacobian.

States are columns: a batch is (..., n_states, B), one trial's state (..., n_states), recurrent weights (..., N, N),
where the dots are any leading dimensions that broadcast. All functions run in the tensors' own type, on their device,
and are differentiable by autograd. Source: specification, section 3; each network names its publication.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, get_args

import torch
from torch import Tensor

from pyflossing._support.arguments import UNWRITTEN, FieldError, require_choice, require_finite, require_instance
from pyflossing.model.surrogates import Surrogate, sign, spike


class Network(Protocol):
    """What spectrum, loss and training need of a network."""

    @property
    def kind(self) -> str:
        """The name in files and in the legacy call."""

    def n_states(self, n_units: int) -> int:
        """Size of the state of N units."""

    def rest(self, normals: Tensor) -> Tensor:
        """The state (..., n_states, B) that starts from one normal number per unit (..., N, B)."""

    def step(self, x: Tensor, u: Tensor, J: Tensor) -> Tensor:
        """The state after one step: x (..., n_states, B), u (..., N, B), J (..., N, N)."""

    def jacobian_action(self, x: Tensor, x_next: Tensor, J: Tensor, Q: Tensor) -> Tensor:
        """D Q for one trial's step from x to x_next, both (..., n_states), and directions Q (..., n_states, k)."""

    def readout_state(self, x: Tensor) -> Tensor:
        """The part (..., N, B) of the state (..., n_states, B) that the readout sees."""


@dataclass(frozen=True)
class TanhNetwork:
    """x' = J tanh(x) + u; D = diag(1 - tanh(x')^2) J, at the new state: specification (3.3), (3.4).

    Source: the published Julia code.
    """

    kind: ClassVar[str] = "tanh"

    def n_states(self, n_units: int) -> int:
        """N."""
        return n_units

    def rest(self, normals: Tensor) -> Tensor:
        """The normal numbers themselves."""
        return normals

    def step(self, x: Tensor, u: Tensor, J: Tensor) -> Tensor:
        """J tanh(x) + u."""
        return J @ torch.tanh(x) + u

    def jacobian_action(self, x: Tensor, x_next: Tensor, J: Tensor, Q: Tensor) -> Tensor:
        """diag(1 - tanh(x')^2) J Q."""
        return (1 - torch.tanh(x_next) ** 2)[..., None] * (J @ Q)

    def readout_state(self, x: Tensor) -> Tensor:
        """x."""
        return x


@dataclass(frozen=True)
class BinaryNetwork:
    """x' = J sign(x) + u with sign(0) = -1; D = diag(s(x')) J, at the new state, with s the surrogate derivative.

    Specification (3.5), (3.6).

    Source: identified from the published figures, where the surrogate is sech^2(gamma x) (gamma 0.5 and 1).

    Args:
        surrogate: the derivative of sign, in the Jacobian and in the backward pass.
        backward_surrogate: another one for the backward pass of the step.

    Raises:
        ValueError: something else than a surrogate.
    """

    surrogate: Surrogate = Surrogate("sech2", 1.0)
    backward_surrogate: Surrogate | None = None

    kind: ClassVar[str] = "binary"

    def __post_init__(self) -> None:
        require_instance("surrogate", self.surrogate, (Surrogate,))
        if self.backward_surrogate is not None:
            require_instance("backward_surrogate", self.backward_surrogate, (Surrogate,))

    @property
    def sign_surrogate(self) -> Surrogate:
        """The derivative of sign in the backward pass of the step."""
        return self.backward_surrogate or self.surrogate

    def n_states(self, n_units: int) -> int:
        """N."""
        return n_units

    def rest(self, normals: Tensor) -> Tensor:
        """The normal numbers themselves."""
        return normals

    def step(self, x: Tensor, u: Tensor, J: Tensor) -> Tensor:
        """J sign(x) + u."""
        return J @ sign(x, self.sign_surrogate) + u

    def jacobian_action(self, x: Tensor, x_next: Tensor, J: Tensor, Q: Tensor) -> Tensor:
        """diag(s(x')) J Q."""
        return self.surrogate.derivative(x_next)[..., None] * (J @ Q)

    def readout_state(self, x: Tensor) -> Tensor:
        """x."""
        return x


JACOBIAN_RESETS = ("none", "factor")
"""What the Jacobian of a spiking network has of the reset."""


@dataclass(frozen=True)
class SpikingNetwork:
    """Current-based leaky integrate-and-fire units; the state is (mem, syn), stacked.

    o = [mem > threshold]; syn' = alpha syn + u + J o; mem' = (beta mem + c syn')(1 - o), the reset factor detached.
    Jacobian at the old state, with d the surrogate derivative at mem - threshold:
    [[K (beta I + c J diag(d)), c alpha K], [J diag(d), alpha I]]. The readout sees mem.

    In the published Jacobian K = I: it ignores the reset. Ours, by ``jacobian_reset="factor"``: K = diag(1 - o), a
    constant in derivatives, so that D is what the backward pass of the step transposes (where both surrogates are the
    same). Then the membrane's row of a unit that spikes is zero, and at most 2N exponents (N if alpha = 0) less the
    largest number of spikes in a step are finite. The other term that a reset could have, the derivative of o
    itself, neither has: the step detaches it.

    Specification (3.7) to (3.10).

    Source: the published Python example; see ``published`` and ``per_step`` for the two sets of constants.

    Args:
        synaptic_decay: alpha in [0, 1), per step.
        membrane_decay: beta in [0, 1), per step.
        membrane_gain: c, the weight of the synaptic current in the membrane: 1 - beta in the published example.
        threshold: of the membrane.
        jacobian_surrogate: the derivative of the spikes in the Jacobian.
        spike_surrogate: the derivative of the spikes in the backward pass of the step.
        jacobian_reset: what the Jacobian has of the reset: "none", as published, or its "factor" 1 - o.

    Raises:
        ValueError: a decay outside [0, 1), a number that is not finite, another ``jacobian_reset``.
    """

    synaptic_decay: float
    membrane_decay: float
    membrane_gain: float
    threshold: float = 1.0
    jacobian_surrogate: Surrogate = Surrogate("fast_sigmoid", 5.0)
    spike_surrogate: Surrogate = Surrogate("fast_sigmoid", 10.0)
    jacobian_reset: Literal["none", "factor"] = field(default="none", metadata={UNWRITTEN: "none"})

    kind: ClassVar[str] = "spiking"

    def __post_init__(self) -> None:
        for name in ("synaptic_decay", "membrane_decay", "membrane_gain", "threshold"):
            object.__setattr__(self, name, require_finite(name, getattr(self, name)))
        for name in ("synaptic_decay", "membrane_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise FieldError(name, getattr(self, name), "it must lie in [0, 1)")
        for name in ("jacobian_surrogate", "spike_surrogate"):
            require_instance(name, getattr(self, name), (Surrogate,))
        chosen = require_choice("jacobian_reset", self.jacobian_reset, JACOBIAN_RESETS)
        object.__setattr__(self, "jacobian_reset", chosen)

    @classmethod
    def published(cls) -> SpikingNetwork:
        """The published Python example's: steps of 1 ms, tau_syn = 5 ms, tau_mem = 10 ms, sharpness 5 and 10."""
        beta = math.exp(-1 / 10)
        return cls(synaptic_decay=math.exp(-1 / 5), membrane_decay=beta, membrane_gain=1 - beta)

    @classmethod
    def per_step(cls) -> SpikingNetwork:
        """Ours: constants per step, found by experiment (docs/spiking_constants.md), that learn short delayed XORs.

        alpha = beta = 0, c = 1, threshold 0.5, sharpness 1 in both places: a unit remembers one step, and rests one
        step after a spike.
        """
        surrogate = Surrogate("fast_sigmoid", 1.0)
        return cls(0.0, 0.0, 1.0, threshold=0.5, jacobian_surrogate=surrogate, spike_surrogate=surrogate)

    def n_states(self, n_units: int) -> int:
        """2N."""
        return 2 * n_units

    def rest(self, normals: Tensor) -> Tensor:
        """mem = the normal numbers, syn = 0."""
        return torch.cat([normals, torch.zeros_like(normals)], dim=-2)

    def step(self, x: Tensor, u: Tensor, J: Tensor) -> Tensor:
        """See the class."""
        mem, syn = x.chunk(2, dim=-2)
        spikes = spike(mem - self.threshold, self.spike_surrogate)
        syn_next = self.synaptic_decay * syn + u + J @ spikes
        mem_next = (self.membrane_decay * mem + self.membrane_gain * syn_next) * (1 - spikes.detach())
        return torch.cat([mem_next, syn_next], dim=-2)

    def jacobian_action(self, x: Tensor, x_next: Tensor, J: Tensor, Q: Tensor) -> Tensor:
        """D Q without forming D: only J is multiplied."""
        mem, _ = x.chunk(2, dim=-1)
        q_mem, q_syn = Q.chunk(2, dim=-2)
        d = self.jacobian_surrogate.derivative(mem - self.threshold)
        syn_rows = J @ (d[..., None] * q_mem) + self.synaptic_decay * q_syn
        mem_rows = self.membrane_decay * q_mem + self.membrane_gain * syn_rows
        if self.jacobian_reset == "factor":
            mem_rows = self.reset_factor(mem)[..., None] * mem_rows
        return torch.cat([mem_rows, syn_rows], dim=-2)

    def reset_factor(self, mem: Tensor) -> Tensor:
        """1 - o, of any shape: 0 for the units that spike and are reset in the next step, 1 for all others."""
        return 1 - (mem > self.threshold).to(mem.dtype)

    def readout_state(self, x: Tensor) -> Tensor:
        """mem."""
        return x.chunk(2, dim=-2)[0]


BuiltIn = TanhNetwork | BinaryNetwork | SpikingNetwork
BUILT_IN: tuple[type[BuiltIn], ...] = get_args(BuiltIn)
NETWORK_KINDS = tuple(network.kind for network in BUILT_IN)
_MEMBERS = ("kind", "n_states", "rest", "step", "jacobian_action", "readout_state")


def network_from_name(kind: str) -> BuiltIn:
    """The network of that name with its default constants: "tanh", "binary", "spiking" (``per_step``).

    Raises:
        ValueError: an unknown name.
    """
    require_choice("network", kind, NETWORK_KINDS)
    if kind == "tanh":
        return TanhNetwork()
    return BinaryNetwork() if kind == "binary" else SpikingNetwork.per_step()


def require_network(name: str, value: Any) -> Network:
    """A network: one of the three, or an object of another class with all that ``Network`` has.

    Raises:
        ValueError: it lacks some of that, or is a class itself.
    """
    if isinstance(value, type) or not all(hasattr(value, member) for member in _MEMBERS):
        raise FieldError(name, value, f"it must be a network, with {', '.join(_MEMBERS)}")
    found: Network = value
    return found
