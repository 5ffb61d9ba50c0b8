"""Small wrong changes of the reverse passes that are written out, and the checks of the report that must find each."""

from __future__ import annotations

from mutation import live, mutations_of

from pyflossing.gradients import flossing_pass, frames, qr_adjoint, training_pass, trajectory_pass
from pyflossing.model import surrogates

_LOSS, _GRADIENTS, _FLOSSING = (live("tanh", row) for row in ("loss", "gradients", "flossing"))
_TRAJECTORY = trajectory_pass.TrajectoryPass
_RATE_PASS, _SPIKING_PASS, _MEMORYLESS = frames.RateFrames, frames.SpikingFrames, frames.MemorylessFrames
_TANH_AND_BINARY = live("tanh", "gradients", "loss") + live("binary_gamma_1", "raster", "gradients", "loss")
_TANH_AND_BINARY += live("binary_gamma_0.5_and_1", "gradients")
_SPIKING_BOTH = live("spiking_published", "gradients", "loss")
_FLOSSED_SPIKING = live("spiking_published", "flossing")
_FLOSSED_WITH_RESET = live("spiking_published_reset", "flossing")


REVERSE_PASSES = {
    **mutations_of(
        training_pass, "gradients_of_losses", _LOSS + _GRADIENTS,
        first_step=("max(first_scored_step - 1", "max(first_scored_step"),
        readout=("(rows @ p.wr", "(1.001 * rows @ p.wr"),
        offset=("+ p.offset", "+ 1.001 * p.offset"),
        divisor=("first_scored_step + 1)", "first_scored_step)"),
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
    **mutations_of(training_pass, "_judged", _LOSS, loss=("loss = cross_entropy", "loss = 1.001 * cross_entropy")),
    **mutations_of(
        training_pass, "_judged", ("step/live/undecided",),
        answer_of_a_zero_readout=("r >= 0", "r > 0"),
    ),
    **mutations_of(
        training_pass, "put_drive", _GRADIENTS,
        bias=("b[..., None", "1.001 * b[..., None"),
        channels=("torch.matmul(s,", "torch.matmul(1.001 * s,"),
        number_of_channels=("div_(s.shape[-1])", "div_(1)"),
    ),
    **mutations_of(training_pass, "put_drive", ("golden/loss",), one_channel=("torch.mul(s,", "torch.mul(1.001 * s,")),
    **mutations_of(
        _TRAJECTORY, "_tanh", live("tanh", "gradients", "loss"),
        tanh=("xp.tanh(x[n],", "xp.tanh(1.001 * x[n],"),
        recurrent=("self._transposed", "1.001 * self._transposed"),
    ),
    **mutations_of(
        _TRAJECTORY, "_binary", _TANH_AND_BINARY,
        recurrent=("self._transposed", "1.001 * self._transposed"),
    ),
    **mutations_of(
        _TRAJECTORY, "adjoint", _TANH_AND_BINARY + _SPIKING_BOTH,
        slope_of_tanh=("torch.sub(1,", "torch.sub(1.001,"),
        square_of_tanh=("(sent, sent,", "(sent, 1.001 * sent,"),
        surrogate_of_signs=("network.sign_surrogate", "network.surrogate"),
        slope_of_sign=("derivative_(slopes[..., chunk, :, :])", "derivative_(slopes[..., chunk, :, :].mul_(1.001))"),
    ),
    **mutations_of(
        surrogates.Surrogate, "derivative_", _TANH_AND_BINARY + _SPIKING_BOTH,
        fast_sigmoid=("add_(1)", "add_(1.001)"),
        sharpness_of_fast_sigmoid=("return v.mul_(", "return v.mul_(1.001 * "),
        sech2=("torch.sub(1,", "torch.sub(1.001,"),
        sharpness_of_sech2=("Any = v.mul_(", "Any = v.mul_(1.001 * "),
    ),
    **mutations_of(
        _TRAJECTORY, "_reverse_rate", _TANH_AND_BINARY,
        recurrent=("_own(self.J)", "_own(1.001 * self.J)"),
    ),
    **mutations_of(
        _TRAJECTORY, "_spiking", _SPIKING_BOTH,
        alpha=("syn, alpha,", "syn, self._scalar(1.001 * network.synaptic_decay),"),
        beta=("mem[n], beta,", "mem[n], self._scalar(1.001 * network.membrane_decay),"),
        gain=("syn, c,", "syn, self._scalar(1.001 * network.membrane_gain),"),
        threshold=("self._scalar(network.threshold)", "self._scalar(0.5 * network.threshold)"),
        recurrent=("self._transposed", "1.001 * self._transposed"),
        reset=("self._scalar(1)", "self._scalar(1.001)"),
    ),
    **mutations_of(
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
    **mutations_of(
        flossing_pass, "flossing_gradient", _FLOSSING,
        transient=("transient = transient_steps(n_steps)", "transient = transient_steps(n_steps) + 1"),
        ws=("h_bar.T @ inputs", "1.001 * h_bar.T @ inputs"),
        channels=("inputs.shape[1]", "1"),
        b=("h_bar.sum(dim=0)", "1.001 * h_bar.sum(dim=0)"),
    ),
    **mutations_of(
        flossing_pass, "_loss", _FLOSSING,
        target=("exponents - target", "exponents - 1.001 * target"),
        derivative=("(2 / ", "(2.002 / "),
        loss=("(distance**2)", "(1.001 * distance**2)"),
    ),
    **mutations_of(
        flossing_pass.SpectrumPass, "__init__", _FLOSSING,
        transient=("(blocks_from, n_steps)", "(n_steps,)"),
        last_step=("(blocks_from, n_steps)", "(blocks_from,)"),
    ),
    **mutations_of(
        flossing_pass.SpectrumPass, "_orthonormalise", _FLOSSING,
        logarithms=(".abs()", ".abs() * 1.001"),
        frame=("copy_(q_r.Q)", "copy_(1.001 * q_r.Q)"),
        triangle=("= q_r.R", "= 1.001 * q_r.R"),
    ),
    **mutations_of(
        flossing_pass.SpectrumPass, "_rescale", _FLOSSING,
        logarithms=("diagonal(L)", "diagonal(1.001 * L)"),
        frame=("solve_triangular(L.T", "solve_triangular(1.001 * L.T"),
        triangle=("= L.T", "= 1.001 * L.T"),
    ),
    **mutations_of(
        flossing_pass.SpectrumPass, "adjoint", _FLOSSING,
        J_by_the_states=("addmm_(h_bar.T", "addmm_(1.001 * h_bar.T"),
        J_by_the_frames=("chain.j_gradient()", "(1.001 * chain.j_gradient())"),
        states=("direct[:, None", "1.001 * direct[:, None"),
    ),
    **mutations_of(
        qr_adjoint, "qr_adjoint", _FLOSSING,
        weights=("sub_(weights)", "sub_(1.001 * weights)"),
        projection=("alpha=-1", "alpha=-0.999"),
    ),
    **mutations_of(
        frames, "gains_along", live("tanh", "flossing") + live("binary_gamma_1", "flossing") + _FLOSSED_SPIKING,
        of_tanh=("1 - rate**2", "1.001 - rate**2"),
        slope_of_tanh=("-2 * rate", "-2.002 * rate"),
        of_surrogates=("return surrogate.derivative(v)", "return 1.001 * surrogate.derivative(v)"),
        slope_of_surrogates=("surrogate.slope(v)", "1.001 * surrogate.slope(v)"),
        threshold=("- network.threshold", "- 1.001 * network.threshold"),
        sharpness=("network.jacobian_surrogate", "network.spike_surrogate"),
    ),
    **mutations_of(
        _RATE_PASS, "pull", _FLOSSING,
        gains=("(self.A_bars", "(1.001 * self.A_bars"),
        frame=("self.P_bars[n], self.J,", "self.P_bars[n], 1.001 * self.J,"),
    ),
    **mutations_of(_RATE_PASS, "direct", _FLOSSING, states=("by_state = self", "by_state = 1.001 * self")),
    **mutations_of(
        _SPIKING_PASS, "push", _FLOSSED_SPIKING,
        alpha=("alpha=net.syn", "alpha=1.001 * net.syn"),
        beta=("alpha=net.mem", "alpha=1.001 * net.mem"),
        gain=(" net.membrane_gain,", " 1.001 * net.membrane_gain,"),
    ),
    **mutations_of(
        _SPIKING_PASS, "pull", _FLOSSED_SPIKING,
        gain_of_frames=("alpha=net.membrane_gain", "alpha=1.001 * net.membrane_gain"),
        alpha_of_frames=("net.synaptic_decay", "1.001 * net.synaptic_decay"),
        beta_of_frames=("mem_bar, net.membrane_decay", "mem_bar, 1.001 * net.membrane_decay"),
        frame=("addcmul_(self.gains", "addcmul_(1.001 * self.gains"),
    ),
    **mutations_of(
        _SPIKING_PASS, "push", _FLOSSED_WITH_RESET,
        reset=("mul_(self.kept[n])", "mul_(1 - 0.999 * (1 - self.kept[n]))"),
    ),
    **mutations_of(
        _SPIKING_PASS, "pull", _FLOSSED_WITH_RESET,
        reset=("mem_bar.mul_(self.kept[n])", "mem_bar.mul_(1)"),
    ),
    **mutations_of(
        _MEMORYLESS, "scale", live("spiking_per_step_reset", "flossing"),
        reset=("return self._scales[n]", "return self._scales[max(n - 1, 0)]"),
    ),
    **mutations_of(
        _SPIKING_PASS, "direct", _FLOSSED_SPIKING,
        states=("by_state = self", "by_state = 1.001 * self"),
        step=("[by_state[1:], torch.zeros_like(by_state[:1])]", "[by_state]"),
    ),
    **mutations_of(
        _MEMORYLESS, "scale", live("spiking_per_step", "flossing"),
        gain=("self.network.membrane_gain if", "1.001 * self.network.membrane_gain if"),
    ),
    **mutations_of(
        _MEMORYLESS, "pull", live("spiking_per_step", "flossing"),
        frame=("(self.gains", "(1.001 * self.gains"),
        J=("_bar, self.scale(n)", "_bar, 1.001 * self.scale(n)"),
    ),
}  # fmt: skip
