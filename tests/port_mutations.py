"""Small wrong changes of the port, as edits of its source, and the checks of the report that must find each.

An edit names the text that it replaces; if that text is no longer there, once, the test says so and the edit needs a
new place.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from pyflossing import (
    config,
    flossing_pass,
    gradients,
    loss,
    networks,
    optimiser,
    schedule,
    spectrum,
    surrogates,
    training,
    training_pass,
    trajectory_pass,
    weights,
)


@dataclass(frozen=True)
class Mutation:
    """Replace ``old`` by ``new`` in a function or method; a check with one of ``found_by`` in its name must fail."""

    owner: Any
    name: str
    old: str
    new: str
    found_by: tuple[str, ...]

    def apply(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the changed function in the place of the true one, wherever it was imported to."""
        true = inspect.getattr_static(self.owner, self.name)
        function = inspect.unwrap(true.fget if isinstance(true, property) else getattr(true, "__func__", true))
        source = textwrap.dedent(inspect.getsource(function))
        head, body = "", source
        if '"""' in source:  # the docstring stays as it is
            before, text, body = source.split('"""')
            head = f'{before}"""{text}"""'
        assert body.count(self.old) == 1, f"{self.old!r} is {body.count(self.old)} times in {self.name}"
        scope: dict[str, Any] = {}
        exec(compile(head + body.replace(self.old, self.new), self.name, "exec"), function.__globals__, scope)
        monkeypatch.setattr(self.owner, self.name, scope[self.name])
        if isinstance(self.owner, ModuleType):
            _replace_everywhere(monkeypatch, true, scope[self.name])


def _replace_everywhere(monkeypatch: pytest.MonkeyPatch, true: Any, changed: Any) -> None:
    for module in [m for name, m in sys.modules.items() if name.split(".")[0] in ("pyflossing", "parity")]:
        for name, value in list(vars(module).items()):
            if value is true:
                monkeypatch.setattr(module, name, changed)
            elif isinstance(value, dict) and name.isupper():
                for key in [key for key, entry in value.items() if entry is true]:
                    monkeypatch.setitem(value, key, changed)


TANH, BINARY = networks.TanhNetwork, networks.BinaryNetwork
SPIKING, STEP = networks.SpikingNetwork, surrogates._Step
RUN = ("training/golden/c01",)


def _live(network: str, *rows: str) -> tuple[str, ...]:
    return tuple(f"trajectory/live/{network}_float64/{row}" for row in rows)


_STATES, _GRADIENTS = _live("tanh", "states"), _live("tanh", "gradients")
_LOSS, _SPECTRUM, _FLOSSING = _live("tanh", "loss"), _live("tanh", "spectrum"), _live("tanh", "flossing")
_SPIKING_STEP, _SPIKING_JACOBIAN = ("step/live/spiking_published_step",), ("step/live/spiking_published_jacobian",)
_SPIKING_GRADIENTS = _live("spiking_published", "raster", "gradients")
_ADAM = ("step/live/adam_update_float32",)

STEPS = {
    "tanh: recurrent term": Mutation(TANH, "step", "J @", "1.001 * J @", _STATES),
    "tanh: input and bias": Mutation(TANH, "step", "+ u", "+ 1.001 * u", _STATES),
    "tanh: argument": Mutation(TANH, "step", "torch.tanh(x)", "torch.tanh(1.001 * x)", _STATES),
    "input weights": Mutation(loss, "drive", "ws @", "1.001 * ws @", _STATES),
    "bias": Mutation(loss, "drive", "+ b", "+ 1.001 * b", _STATES),
    "division by the channels": Mutation(loss, "drive", "/ ws.shape[1]", "/ 1.0", _STATES),
    "binary: recurrent term": Mutation(BINARY, "step", "J @", "1.001 * J @", ("step/live/binary_gamma_1_step",)),
    "binary: input and bias": Mutation(BINARY, "step", "+ u", "+ 1.001 * u", ("step/live/binary_gamma_1_step",)),
    "binary: surrogate of signs": Mutation(
        BINARY,
        "step",
        "self.sign_surrogate",
        "self.surrogate",
        _live("binary_gamma_0.5_and_1", "flossing", "gradients"),
    ),
    "sign of zero": Mutation(STEP, "forward", "v > 0", "v >= 0", ("step/live/binary_gamma_1_step",)),
    "lower sign": Mutation(surrogates, "sign", "-1.0", "-0.999", ("step/live/binary_gamma_1_step",)),
    "height of a spike": Mutation(surrogates, "spike", "1.0", "1.001", _SPIKING_STEP),
    "spiking: alpha": Mutation(SPIKING, "step", "decay * syn +", "decay * 1.001 * syn +", _SPIKING_STEP),
    "spiking: beta": Mutation(SPIKING, "step", "decay * mem +", "decay * 1.001 * mem +", _SPIKING_STEP),
    "spiking: gain": Mutation(SPIKING, "step", "gain * syn", "gain * 1.001 * syn", _SPIKING_STEP),
    "spiking: input": Mutation(SPIKING, "step", "+ u", "+ 1.001 * u", _SPIKING_STEP),
    "spiking: recurrent term": Mutation(SPIKING, "step", "J @", "1.001 * J @", _SPIKING_STEP),
    "spiking: threshold": Mutation(SPIKING, "step", "- self.thr", "- 1.001 * self.thr", _SPIKING_GRADIENTS),
    "spiking: reset": Mutation(SPIKING, "step", "(1 - spikes", "(1 - 0.999 * spikes", _SPIKING_STEP),
    "spiking: reset not detached": Mutation(SPIKING, "step", ".detach()", "", _SPIKING_GRADIENTS),
    "readout sees syn": Mutation(SPIKING, "readout_state", "[0]", "[1]", _live("spiking_published", "states")),
    "readout weights": Mutation(loss, "readout", "wr @", "1.001 * wr @", _STATES),
    "readout offset": Mutation(loss, "readout", "+ offset", "+ 1.001 * offset", _STATES),
    "relaxation without bias": Mutation(loss, "relax", "b[:, None]", "0.999 * b[:, None]", ("golden/initial_state",)),
}

JACOBIANS = {
    "tanh: Jacobian": Mutation(TANH, "jacobian_action", "(1 - torch", "(1.001 - torch", _SPECTRUM),
    "tanh: Jacobian's argument": Mutation(TANH, "jacobian_action", "(x_next)", "(1.001 * x_next)", _SPECTRUM),
    "tanh: Jacobian at the old state": Mutation(TANH, "jacobian_action", "(x_next)", "(x)", _SPECTRUM),
    "binary: Jacobian": Mutation(
        BINARY, "jacobian_action", "(J @ Q)", "(1.001 * J @ Q)", ("step/live/binary_gamma_1_jacobian",)
    ),
    "binary: Jacobian at the old state": Mutation(
        BINARY, "jacobian_action", "(x_next)", "(x)", ("step/live/binary_gamma_1_jacobian",)
    ),
    "spiking: Jacobian's alpha": Mutation(
        SPIKING, "jacobian_action", "decay * q_syn", "decay * 1.001 * q_syn", _SPIKING_JACOBIAN
    ),
    "spiking: Jacobian's beta": Mutation(
        SPIKING, "jacobian_action", "decay * q_mem", "decay * 1.001 * q_mem", _SPIKING_JACOBIAN
    ),
    "spiking: Jacobian's gain": Mutation(
        SPIKING, "jacobian_action", "gain * syn_rows", "gain * 1.001 * syn_rows", _SPIKING_JACOBIAN
    ),
    "spiking: Jacobian's recurrent term": Mutation(
        SPIKING, "jacobian_action", "J @ (d[..., None]", "J @ (1.001 * d[..., None]", _SPIKING_JACOBIAN
    ),
    "spiking: Jacobian's threshold": Mutation(
        SPIKING, "jacobian_action", "- self.thr", "- 1.001 * self.thr", _SPIKING_JACOBIAN
    ),
    "spiking: Jacobian's sharpness": Mutation(
        SPIKING, "jacobian_action", "self.jacobian_surrogate", "self.spike_surrogate", _SPIKING_JACOBIAN
    ),
}

SURROGATES = {
    "sharpness": Mutation(
        surrogates.Surrogate, "derivative", "self.sharpness * v", "self.sharpness * 1.001 * v", ("live/surrogate",)
    ),
    "fast sigmoid": Mutation(surrogates, "_fast_sigmoid", "1 / (1", "1 / (1.001", ("surrogate_fast_sigmoid",)),
    "sech2": Mutation(surrogates, "_sech2", "1 - torch", "1 - 1.001 * torch", ("surrogate_sech2",)),
    "gaussian": Mutation(surrogates, "_gaussian", "/ 2", "/ 2.002", ("surrogate_gaussian",)),
    "triangular": Mutation(surrogates, "_triangular", "(1 -", "(1.001 -", ("surrogate_triangular",)),
    "sigmoid": Mutation(surrogates, "_sigmoid", "4 *", "4.004 *", ("surrogate_sigmoid",)),
    "arctan": Mutation(surrogates, "_arctan", "z**2", "1.001 * z**2", ("surrogate_arctan",)),
    "backward pass of steps": Mutation(
        STEP, "backward", "gradient *", "1.001 * gradient *", _live("binary_gamma_1", "gradients")
    ),
    "sharpness of spikes": Mutation(
        STEP, "backward", "derivative(v)", "derivative(1.001 * v)", _live("spiking_per_step", "gradients")
    ),
}

LOSSES = {
    "cross entropy": Mutation(loss, "loss_and_accuracy", "logits(r", "logits(1.001 * r", _LOSS),
    "divisor of loss and accuracy": Mutation(
        loss, "loss_and_accuracy", "first_scored_step + 1", "first_scored_step", _LOSS
    ),
    "first scored step": Mutation(loss, "loss_and_accuracy", "first_scored_step - 1", "first_scored_step", _LOSS),
    "answer of a zero readout": Mutation(loss, "loss_and_accuracy", "r >= 0", "r > 0", ("step/live/undecided",)),
    "trajectory detached": Mutation(loss, "trajectory", "step(x,", "step(x.detach(),", _GRADIENTS),
    "transient": Mutation(spectrum, "transient_steps", "10 +", "11 +", _SPECTRUM),
    "transient rounded down": Mutation(spectrum, "transient_steps", "ceil", "floor", _SPECTRUM),
    "logarithm of R": Mutation(spectrum, "logarithms", "torch.log(", "1.001 * torch.log(", _SPECTRUM),
    "first frame": Mutation(spectrum, "logarithms", "rows = []", "rows, Q = [], Q.roll(1, 0)", _SPECTRUM),
    "frame detached": Mutation(spectrum, "logarithms", "q_r.Q, x_next", "q_r.Q.detach(), x_next", _FLOSSING),
    "states detached": Mutation(spectrum, "logarithms", "q_r.Q, x_next", "q_r.Q, x_next.detach()", _FLOSSING),
    "sign of the frame": Mutation(
        spectrum, "initial_frame", "return q.float()", "return -q.float()", ("golden/frame",)
    ),
    "target exponent": Mutation(spectrum, "flossing_loss", "- target", "- 1.001 * target", _FLOSSING),
    "mean of the flossing loss": Mutation(spectrum, "flossing_loss", ".mean()", ".mean() * 1.001", _FLOSSING),
}
LOSSES |= {
    f"gradient of {name}": Mutation(
        gradients,
        "training_gradient",
        "    require_finite_gradients(",
        f"    gradients = gradients._replace({name}=1.001 * gradients.{name})\n    require_finite_gradients(",
        _GRADIENTS,
    )
    for name in ("ws", "J", "wr", "b", "offset", "x0")
}
LOSSES |= {
    f"flossing gradient of {name}": Mutation(
        gradients,
        "flossing_gradient",
        "    require_finite_gradients(",
        f'    gradients["{name}"] = 1.001 * gradients["{name}"]\n    require_finite_gradients(',
        _FLOSSING,
    )
    for name in ("ws", "J", "b")
}

_TRAJECTORY = trajectory_pass.TrajectoryPass
_RATE_PASS, _SPIKING_PASS, _MEMORYLESS = flossing_pass._Rate, flossing_pass._Spiking, flossing_pass._Memoryless
_TANH_AND_BINARY = _live("tanh", "gradients", "loss") + _live("binary_gamma_1", "raster", "gradients", "loss")
_TANH_AND_BINARY += _live("binary_gamma_0.5_and_1", "gradients")
_SPIKING_BOTH = _live("spiking_published", "gradients", "loss")
_FLOSSED_SPIKING = _live("spiking_published", "flossing")


def _passes(owner: Any, name: str, found_by: tuple[str, ...], **edits: tuple[str, str]) -> dict[str, Mutation]:
    place = name if isinstance(owner, ModuleType) else f"{owner.__name__}.{name}"
    return {
        f"{place}: {title.replace('_', ' ')}": Mutation(owner, name, old, new, found_by)
        for title, (old, new) in edits.items()
    }


REVERSE_PASSES = {
    **_passes(
        training_pass, "gradients_of_losses", _LOSS + _GRADIENTS,
        first_step=("max(first_scored_step - 1", "max(first_scored_step"),
        readout=("(rows @ p.wr", "(1.001 * rows @ p.wr"),
        offset=("+ p.offset", "+ 1.001 * p.offset"),
        divisor=("first_scored_step + 1)", "first_scored_step)"),
        loss=("loss = binary", "loss = 1.001 * binary"),
        derivative=("torch.sigmoid(r[", "torch.sigmoid(1.001 * r["),
        targets=(".sub_(y[", ".sub_(1.001 * y["),
        first_step_of_a_part=("max(part.start, first)", "max(part.start, first + 1)"),
        gradient_of_wr=("wr=wr_bar", "wr=1.001 * wr_bar"),
        gradient_of_offset=("offset=r_bar", "offset=1.001 * r_bar"),
        adjoint_of_the_readout=("torch.mul(r_bar", "torch.mul(1.001 * r_bar"),
        ws=("ws=rec", "ws=1.001 * rec"),
        channels=("/ channels", "/ 1"),
        J=("J=J_bar", "J=1.001 * J_bar"),
        b=("b=rec", "b=1.001 * rec"),
    ),
    **_passes(
        training_pass, "gradients_of_losses", ("step/live/undecided",),
        answer_of_a_zero_readout=("r >= 0", "r > 0"),
    ),
    **_passes(
        training_pass, "put_drive", _GRADIENTS,
        bias=("b[..., None", "1.001 * b[..., None"),
        channels=("torch.matmul(s,", "torch.matmul(1.001 * s,"),
        number_of_channels=("div_(s.shape[-1])", "div_(1)"),
    ),
    **_passes(training_pass, "put_drive", ("golden/loss",), one_channel=("torch.mul(s,", "torch.mul(1.001 * s,")),
    **_passes(
        _TRAJECTORY, "_tanh", _live("tanh", "gradients", "loss"),
        tanh=("xp.tanh(x[n],", "xp.tanh(1.001 * x[n],"),
        recurrent=("self._transposed", "1.001 * self._transposed"),
    ),
    **_passes(
        _TRAJECTORY, "_binary", _TANH_AND_BINARY,
        recurrent=("self._transposed", "1.001 * self._transposed"),
    ),
    **_passes(
        _TRAJECTORY, "adjoint", _TANH_AND_BINARY + _SPIKING_BOTH,
        slope_of_tanh=("torch.sub(1,", "torch.sub(1.001,"),
        square_of_tanh=("(sent, sent,", "(sent, 1.001 * sent,"),
        surrogate_of_signs=("network.sign_surrogate", "network.surrogate"),
        slope_of_sign=("derivative_(slopes[..., chunk, :, :])", "derivative_(slopes[..., chunk, :, :].mul_(1.001))"),
    ),
    **_passes(
        surrogates.Surrogate, "derivative_", _TANH_AND_BINARY + _SPIKING_BOTH,
        fast_sigmoid=("add_(1)", "add_(1.001)"),
        sharpness_of_fast_sigmoid=("return v.mul_(", "return v.mul_(1.001 * "),
        sech2=("torch.sub(1,", "torch.sub(1.001,"),
        sharpness_of_sech2=("Any = v.mul_(", "Any = v.mul_(1.001 * "),
    ),
    **_passes(
        _TRAJECTORY, "_reverse_rate", _TANH_AND_BINARY,
        recurrent=("_own(self.J)", "_own(1.001 * self.J)"),
    ),
    **_passes(
        _TRAJECTORY, "_spiking", _SPIKING_BOTH,
        alpha=("syn, alpha,", "syn, self._scalar(1.001 * network.synaptic_decay),"),
        beta=("mem[n], beta,", "mem[n], self._scalar(1.001 * network.membrane_decay),"),
        gain=("syn, c,", "syn, self._scalar(1.001 * network.membrane_gain),"),
        threshold=("self._scalar(network.threshold)", "self._scalar(0.5 * network.threshold)"),
        recurrent=("self._transposed", "1.001 * self._transposed"),
        reset=("self._scalar(1)", "self._scalar(1.001)"),
    ),
    **_passes(
        _TRAJECTORY, "_reverse_spiking", _SPIKING_BOTH,
        threshold=("sub_(network.threshold)", "sub_(1.001 * network.threshold)"),
        sharpness=("network.spike_surrogate", "network.jacobian_surrogate"),
        reset=("bars.addcmul_(bars, sent, value=-1)", "bars.addcmul_(bars, sent, value=-0.999)"),
        reset_of_slopes=("later.addcmul_(later, reset, value=-1)", "later.addcmul_(later, reset, value=-0.999)"),
        reset_of_leaks=("[..., 1:, :, :], reset, value=-1)", "[..., 1:, :, :], reset, value=-0.999)"),
        alpha=("self._scalar(network.synaptic_decay)", "self._scalar(1.001 * network.synaptic_decay)"),
        beta=("fill_(network.membrane_decay)", "fill_(1.001 * network.membrane_decay)"),
        gain=("self._scalar(network.membrane_gain)", "self._scalar(1.001 * network.membrane_gain)"),
        recurrent=("_own(self.J)", "_own(1.001 * self.J)"),
        gradient_of_x0=("[mem_bar, syn_bar]", "[mem_bar, 1.001 * syn_bar]"),
    ),
    **_passes(
        flossing_pass, "flossing_gradient", _FLOSSING,
        transient=("transient = transient_steps(n_steps)", "transient = transient_steps(n_steps) + 1"),
        target=("exponents - target", "exponents - 1.001 * target"),
        derivative=("(2 / ", "(2.002 / "),
        loss=("(distance**2)", "(1.001 * distance**2)"),
        ws=("h_bar.T @ inputs", "1.001 * h_bar.T @ inputs"),
        channels=("inputs.shape[1]", "1"),
        b=("h_bar.sum(dim=0)", "1.001 * h_bar.sum(dim=0)"),
    ),
    **_passes(
        flossing_pass.SpectrumPass, "__init__", _FLOSSING,
        transient=("(blocks_from, n_steps)", "(n_steps,)"),
        last_step=("(blocks_from, n_steps)", "(blocks_from,)"),
    ),
    **_passes(
        flossing_pass.SpectrumPass, "_orthonormalise", _FLOSSING,
        logarithms=(".abs()", ".abs() * 1.001"),
        frame=("copy_(q_r.Q)", "copy_(1.001 * q_r.Q)"),
        triangle=("= q_r.R", "= 1.001 * q_r.R"),
    ),
    **_passes(
        flossing_pass.SpectrumPass, "_rescale", _FLOSSING,
        logarithms=("diagonal(L)", "diagonal(1.001 * L)"),
        frame=("solve_triangular(L.T", "solve_triangular(1.001 * L.T"),
        triangle=("= L.T", "= 1.001 * L.T"),
    ),
    **_passes(
        flossing_pass.SpectrumPass, "adjoint", _FLOSSING,
        J_by_the_states=("addmm_(h_bar.T", "addmm_(1.001 * h_bar.T"),
        J_by_the_frames=("chain.j_gradient()", "(1.001 * chain.j_gradient())"),
        states=("direct[:, None", "1.001 * direct[:, None"),
    ),
    **_passes(
        flossing_pass, "qr_adjoint", _FLOSSING,
        weights=("sub_(weights)", "sub_(1.001 * weights)"),
        projection=("alpha=-1", "alpha=-0.999"),
    ),
    **_passes(
        _RATE_PASS, "__init__", _live("tanh", "flossing") + _live("binary_gamma_1", "flossing"),
        gains_of_tanh=("1 - rate**2", "1.001 - rate**2"),
        slope_of_gains_of_tanh=("-2 * rate", "-2.002 * rate"),
        gains_of_sign=("self.gains = network.", "self.gains = 1.001 * network."),
        slope_of_gains_of_sign=("self.gain_slopes = network.", "self.gain_slopes = 1.001 * network."),
    ),
    **_passes(
        _RATE_PASS, "pull", _FLOSSING,
        gains=("(self.A_bars", "(1.001 * self.A_bars"),
        frame=("self.P_bars[n], self.J,", "self.P_bars[n], 1.001 * self.J,"),
    ),
    **_passes(_RATE_PASS, "direct", _FLOSSING, states=("by_state = self", "by_state = 1.001 * self")),
    **_passes(
        _SPIKING_PASS, "__init__", _FLOSSED_SPIKING,
        threshold=("- network.threshold", "- 1.001 * network.threshold"),
        sharpness_of_gains=("network.jacobian_surrogate.derivative", "network.spike_surrogate.derivative"),
        slope_of_gains=("network.jacobian_surrogate.slope", "1.001 * network.jacobian_surrogate.slope"),
    ),
    **_passes(
        _SPIKING_PASS, "push", _FLOSSED_SPIKING,
        alpha=("alpha=net.syn", "alpha=1.001 * net.syn"),
        beta=("alpha=net.mem", "alpha=1.001 * net.mem"),
        gain=(" net.membrane_gain,", " 1.001 * net.membrane_gain,"),
    ),
    **_passes(
        _SPIKING_PASS, "pull", _FLOSSED_SPIKING,
        gain_of_frames=("alpha=net.membrane_gain", "alpha=1.001 * net.membrane_gain"),
        alpha_of_frames=("net.synaptic_decay", "1.001 * net.synaptic_decay"),
        beta_of_frames=("mem_bar, net.membrane_decay", "mem_bar, 1.001 * net.membrane_decay"),
        frame=("addcmul_(self.gains", "addcmul_(1.001 * self.gains"),
    ),
    **_passes(
        _SPIKING_PASS, "direct", _FLOSSED_SPIKING,
        states=("by_state = self", "by_state = 1.001 * self"),
        step=("[by_state[1:], torch.zeros_like(by_state[:1])]", "[by_state]"),
    ),
    **_passes(
        _MEMORYLESS, "scale", _live("spiking_per_step", "flossing"),
        gain=("self.network.membrane_gain if", "1.001 * self.network.membrane_gain if"),
    ),
    **_passes(
        _MEMORYLESS, "pull", _live("spiking_per_step", "flossing"),
        frame=("(self.gains", "(1.001 * self.gains"),
        J=("_bar, self.scale(n)", "_bar, 1.001 * self.scale(n)"),
    ),
}  # fmt: skip

UPDATES = {
    "learning rate": Mutation(config.Adam, "rate", "self.lear", "1.001 * self.lear", ("optimiser/golden",)),
    "learning rate not rounded": Mutation(
        config.Adam, "rate", "float(np.float32(self.learning_rate))", "self.learning_rate", ("tanh_float64/updates",)
    ),
    "clipping": Mutation(config.Adam, "clip_threshold", "(self.", "(1.001 * self.", ("optimiser/golden",)),
    "clipping not rounded": Mutation(
        config.Adam, "clip_threshold", "float(np.float32(self.clip_norm))", "self.clip_norm", ("optimiser/golden",)
    ),
    "norm that clips": Mutation(optimiser, "clip", "(gradient))", "(gradient)) * 1.001", ("optimiser/golden",)),
    "b1 of the old moment": Mutation(optimiser, "adam_update", "beta1 * state.m", "beta1 * 1.001 * state.m", _ADAM),
    "b1 of the gradient": Mutation(optimiser, "adam_update", "(1 - rates.beta1", "(1.0001 - rates.beta1", _ADAM),
    "b2 of the old moment": Mutation(optimiser, "adam_update", "beta2 * state.v", "beta2 * 1.001 * state.v", _ADAM),
    "b2 of the gradient": Mutation(optimiser, "adam_update", "(1 - rates.beta2", "(1.00001 - rates.beta2", _ADAM),
    "first bias correction": Mutation(optimiser, "adam_update", "- state.power1)", "- 1.001 * state.power1)", _ADAM),
    "second bias correction": Mutation(optimiser, "adam_update", "- state.power2)", "- 0.999 * state.power2)", _ADAM),
    "first power": Mutation(optimiser, "adam_update", "power1 * rates.beta1", "power1", _ADAM),
    "second power": Mutation(optimiser, "adam_update", "power2 * rates.beta2", "power2", _ADAM),
    "epsilon": Mutation(optimiser, "adam_update", "+ EPSILON", "+ 1.001 * EPSILON", _ADAM),
    "epsilon under the root": Mutation(
        optimiser, "adam_update", "torch.sqrt(v.double() / (1 - state.power2)) + EPSILON",
        "torch.sqrt(v.double() / (1 - state.power2) + EPSILON)", _ADAM,
    ),
}  # fmt: skip

RUNS = {
    "seed of the training trials": Mutation(training, "batch", "seed(epoch)", "seed(epoch + 1)", RUN),
    "seed of the flossing trials": Mutation(training, "_flossing_epoch", "(epoch + fl", "(epoch + 1 + fl", RUN),
    "trials not shuffled": Mutation(training, "batch", "order - 1", "np.sort(order) - 1", RUN),
    "seed of the shuffle": Mutation(training, "_trial_orders", "range(start, min(", "range(start + 1, 1 + min(", RUN),
    "seed of the frame": Mutation(training, "initial_state", "seeds.frame", "seeds.frame + 1", RUN),
    "seed of the initial state": Mutation(
        training, "initial_parameters", "seeds.initial_state)", "seeds.initial_state + 1)", ("golden/c08",)
    ),
    "seed of the network": Mutation(training, "initial_parameters", "seeds.network,", "seeds.network + 1,", RUN),
    "flossing from the last trial": Mutation(
        training, "_flossing_gradient", "x0[:, trial % x0.shape[1]]", "x0[:, -1]", RUN
    ),
    "flossing with training's moments": Mutation(
        training, "_flossing_epoch", "adam = state.parameters, state.flossing_adam",
        "adam = state.parameters, state.training_adam", RUN,
    ),
    "flossing clips": Mutation(
        training, "_flossing_epoch", "settings.clip_threshold", "1e-4", RUN
    ),
    "flossing before training": Mutation(
        schedule.FlossingSchedule, "episode_length", "return self.before", "return self.before + 1", RUN
    ),
    "length of episodes": Mutation(
        schedule.FlossingSchedule, "episode_length", "self.episode if", "self.episode + 1 if", RUN
    ),
    "period of episodes": Mutation(
        schedule.FlossingSchedule, "episode_length", "epoch % self.period == 0", "epoch % self.period == 1", RUN
    ),
    "number of episodes": Mutation(
        schedule.FlossingSchedule, "episode_length", "< self.n_episodes", "< self.n_episodes - 1", RUN
    ),
    "the first episode counts": Mutation(training, "flossing_episode", "if length and epoch > 1", "if length", RUN),
    "all parameters clipped together": Mutation(
        training, "training_updates", "clip(gradient, limit, length)", "gradient * (0.03 / lengths[0])", RUN
    ),
    "mean coupling": Mutation(
        weights, "initial_weights", "real(chosen.mean_coupling)", "real(1.001 * chosen.mean_coupling)", ("J_gaussian",)
    ),
}  # fmt: skip

MUTATIONS = STEPS | JACOBIANS | SURROGATES | LOSSES | REVERSE_PASSES | UPDATES | RUNS
