"""Loss of a batch and its gradients by a reverse pass written out: one loop forward, one back, no graph.

The states are kept once; the input's product is taken for all steps at once, the weights' gradients as one large
product at the end, and loss and accuracy share one readout. Agrees with :mod:`pyflossing.gradients` (a test shows it).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from pyflossing import gradients
from pyflossing.gradients import TrainingGradient, non_finite_state, require_finite_gradients
from pyflossing.loss import Parameters, drive
from pyflossing.networks import BUILT_IN, BinaryNetwork, Network, SpikingNetwork, TanhNetwork


class _Scored:
    """Readout, loss and accuracy over the steps that count, and the loss's derivative with respect to the readout."""

    def __init__(self, p: Parameters, seen: Tensor, targets: Tensor, first_scored_step: int) -> None:
        steps, _, batch = seen.shape
        self.first = max(first_scored_step - 1, 0)
        r = p.wr @ seen[self.first :] + p.offset
        y = targets[self.first :]
        count = batch * (steps - first_scored_step + 1)
        self.loss = float(binary_cross_entropy_with_logits(r, y, reduction="sum")) / count
        self.accuracy = float(((r >= 0) == (y > 0.5)).sum()) / count
        self.r_bar = torch.sigmoid(r).sub_(y).div_(count)  # (steps that count, 1, B)
        self.wr = torch.bmm(seen[self.first :], self.r_bar.transpose(1, 2)).sum(dim=0).T
        self.offset = self.r_bar.sum().reshape(1)

    def state_adjoint(self, wr: Tensor, steps: int) -> Tensor:
        """dL/dx of every step through the readout alone, (T, N, B)."""
        x_bar = self.r_bar.new_zeros(steps, wr.shape[1], self.r_bar.shape[2])
        torch.mul(wr.T, self.r_bar, out=x_bar[self.first :])
        return x_bar


def training_gradient(
    network: Network, parameters: Parameters, inputs: Tensor, targets: Tensor, first_scored_step: int
) -> TrainingGradient:
    """As :func:`pyflossing.gradients.training_gradient`, with the same arguments, result and errors.

    A network of another class than the three built-in ones, a subclass too, takes plain autograd.
    """
    if type(network) not in BUILT_IN:
        return gradients.training_gradient(network, parameters, inputs, targets, first_scored_step)
    with torch.no_grad():
        p = Parameters(*(x.detach() for x in parameters))
        if isinstance(network, SpikingNetwork):
            all_finite, result = _spiking(network, p, inputs, targets, first_scored_step)
        else:
            assert isinstance(network, TanhNetwork | BinaryNetwork)
            all_finite, result = _rate(network, p, inputs, targets, first_scored_step)
        if not all_finite:
            raise non_finite_state(network, p, inputs)
        require_finite_gradients(result.gradients._asdict())
        return result


def _finite(states: Tensor) -> bool:
    return bool(torch.isfinite(states.sum())) or bool(torch.isfinite(states).all())


def _weights(h_bar: Tensor, sent: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of ws, J and b from dL/dh (T, N, B), where h = J a + ws s / S + b."""

    def flat(x: Tensor) -> Tensor:
        return x.transpose(0, 1).reshape(x.shape[1], -1)

    rows = flat(h_bar)
    return rows @ flat(inputs).T / inputs.shape[1], rows @ flat(sent).T, rows.sum(dim=1)


def _rate(
    network: TanhNetwork | BinaryNetwork, p: Parameters, inputs: Tensor, targets: Tensor, first_scored_step: int
) -> tuple[bool, TrainingGradient]:
    """x' = J a(x) + u, with a = tanh or sign."""
    steps = len(inputs)
    states = p.x0.new_empty(steps + 1, *p.x0.shape)
    states[0] = p.x0
    states[1:] = drive(p.ws, p.b, inputs)  # to which every step adds its J a
    sent = states.new_empty(steps, *p.x0.shape)
    x, a = states.unbind(0), sent.unbind(0)
    if isinstance(network, TanhNetwork):
        for n in range(steps):
            torch.tanh(x[n], out=a[n])
            x[n + 1].addmm_(p.J, a[n])
        slopes = torch.addcmul(sent.new_ones(()), sent, sent, value=-1).unbind(0)
    else:
        for n in range(steps):
            torch.sign(x[n], out=a[n])
            x[n + 1].addmm_(p.J, a[n])
        if not bool(sent.all()):  # a state of exactly zero, whose sign is -1 here and 0 for torch
            states[1:] = drive(p.ws, p.b, inputs)
            for n in range(steps):
                torch.gt(x[n], 0, out=a[n])
                a[n].mul_(2).sub_(1)
                x[n + 1].addmm_(p.J, a[n])
        slopes = network.surrogate.derivative(states[:-1]).unbind(0)
    scored = _Scored(p, states[1:], targets, first_scored_step)
    x_bar = scored.state_adjoint(p.wr, steps)
    bars, transposed, buffer = x_bar.unbind(0), p.J.T.contiguous(), torch.empty_like(p.x0)
    for n in range(steps - 1, 0, -1):
        torch.mm(transposed, bars[n], out=buffer)
        bars[n - 1].addcmul_(buffer, slopes[n])
    x0_bar = (transposed @ bars[0]).mul_(slopes[0])
    ws, j, b = _weights(x_bar, sent, inputs)
    by_parameter = Parameters(ws, j, scored.wr, b, scored.offset, x0_bar)
    return _finite(states), TrainingGradient(scored.loss, scored.accuracy, by_parameter)


def _spiking(
    network: SpikingNetwork, p: Parameters, inputs: Tensor, targets: Tensor, first_scored_step: int
) -> tuple[bool, TrainingGradient]:
    """Membranes and synapses; the reset's factor is a constant in the reverse pass."""
    alpha, beta, c = network.synaptic_decay, network.membrane_decay, network.membrane_gain
    steps, n_units = len(inputs), len(p.b)
    u = drive(p.ws, p.b, inputs).unbind(0)  # to which every step adds its J o, and what is left of syn
    membranes = p.x0.new_empty(steps + 1, n_units, p.x0.shape[1])
    spikes = torch.empty_like(membranes[1:])
    membranes[0] = p.x0[:n_units]
    syn = p.x0[n_units:]
    mem, o = membranes.unbind(0), spikes.unbind(0)
    for n in range(steps):
        torch.gt(mem[n], network.threshold, out=o[n])
        following = u[n].addmm_(p.J, o[n])
        if alpha:
            following.add_(syn, alpha=alpha)
        syn = following
        torch.mul(syn, c, out=mem[n + 1])
        if beta:
            mem[n + 1].add_(mem[n], alpha=beta)
        mem[n + 1].addcmul_(mem[n + 1], o[n], value=-1)
    scored = _Scored(p, membranes[1:], targets, first_scored_step)
    kept = (1 - spikes).unbind(0)
    slopes = network.spike_surrogate.derivative(membranes[:-1] - network.threshold).unbind(0)
    mem_bars = scored.state_adjoint(p.wr, steps)
    bars, h_bars = mem_bars.unbind(0), torch.empty_like(mem_bars)
    h = h_bars.unbind(0)
    transposed, buffer = p.J.T.contiguous(), torch.empty_like(mem[0])
    mem0_bar, syn_bar = torch.zeros_like(mem[0]), torch.zeros_like(mem[0])
    for n in range(steps - 1, -1, -1):
        past = bars[n - 1] if n else mem0_bar
        through = torch.mul(bars[n], kept[n], out=bars[n])
        torch.mul(through, c, out=h[n])
        if alpha:
            h[n].add_(syn_bar)
            torch.mul(h[n], alpha, out=syn_bar)
        torch.mm(transposed, h[n], out=buffer)
        past.addcmul_(buffer, slopes[n])
        if beta:
            past.add_(through, alpha=beta)
    ws, j, b = _weights(h_bars, spikes, inputs)
    x0_bar = torch.cat([mem0_bar, syn_bar])
    by_parameter = Parameters(ws, j, scored.wr, b, scored.offset, x0_bar)
    return _finite(membranes), TrainingGradient(scored.loss, scored.accuracy, by_parameter)
