"""Small wrong changes of the port, as edits of its source, and the checks of the report that must find each."""

from __future__ import annotations

from mutation import Mutation, live
from reverse_pass_mutations import REVERSE_PASSES

from pyflossing import config
from pyflossing.config import schedule
from pyflossing.gradients import by_autograd
from pyflossing.model import loss, networks, spectrum, surrogates, weights
from pyflossing.training import epochs, optimiser, state

TANH, BINARY = networks.TanhNetwork, networks.BinaryNetwork
SPIKING, STEP = networks.SpikingNetwork, surrogates._Step
RUN = ("training/golden/c01",)


_STATES, _GRADIENTS = live("tanh", "states"), live("tanh", "gradients")
_LOSS, _SPECTRUM, _FLOSSING = live("tanh", "loss"), live("tanh", "spectrum"), live("tanh", "flossing")
_SPIKING_STEP, _SPIKING_JACOBIAN = ("step/live/spiking_published_step",), ("step/live/spiking_published_jacobian",)
_RESET_JACOBIAN = ("step/live/spiking_published_reset_jacobian",)
_SPIKING_GRADIENTS = live("spiking_published", "raster", "gradients")
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
        live("binary_gamma_0.5_and_1", "flossing", "gradients"),
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
    "readout sees syn": Mutation(SPIKING, "readout_state", "[0]", "[1]", live("spiking_published", "states")),
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
    "spiking: Jacobian's reset left out": Mutation(
        SPIKING,
        "jacobian_action",
        "self.reset_factor(mem)[..., None] *",
        "",
        live("spiking_published_reset", "spectrum"),
    ),
    "spiking: Jacobian's reset of the currents": Mutation(
        SPIKING, "jacobian_action", "[mem_rows, syn_rows]", "[mem_rows, mem_rows]", _RESET_JACOBIAN
    ),
    "spiking: Jacobian's reset at the threshold": Mutation(SPIKING, "reset_factor", ">", ">=", _RESET_JACOBIAN),
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
        STEP, "backward", "gradient *", "1.001 * gradient *", live("binary_gamma_1", "gradients")
    ),
    "sharpness of spikes": Mutation(
        STEP, "backward", "derivative(v)", "derivative(1.001 * v)", live("spiking_per_step", "gradients")
    ),
}

LOSSES = {
    "cross entropy": Mutation(loss, "cross_entropy", "y * logsigmoid(r)", "y * logsigmoid(1.001 * r)", _LOSS),
    "divisor of loss and accuracy": Mutation(
        loss, "loss_and_accuracy", "first_scored_step + 1", "first_scored_step", _LOSS
    ),
    "first scored step": Mutation(loss, "loss_and_accuracy", "first_scored_step - 1", "first_scored_step", _LOSS),
    "answer of a zero readout": Mutation(loss, "loss_and_accuracy", "r >= 0", "r > 0", ("step/live/undecided",)),
    "trajectory detached": Mutation(loss, "trajectory", "step(x,", "step(x.detach(),", _GRADIENTS),
    "transient": Mutation(spectrum, "transient_steps", "return 10", "return 11", _SPECTRUM),
    "transient rounded down": Mutation(spectrum, "transient_steps", "- (-n_steps // 10)", "+ n_steps // 10", _SPECTRUM),
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
        by_autograd,
        "training_gradient",
        "    require_finite_gradients(",
        f"    gradients = gradients._replace({name}=1.001 * gradients.{name})\n    require_finite_gradients(",
        _GRADIENTS,
    )
    for name in ("ws", "J", "wr", "b", "offset", "x0")
}
LOSSES |= {
    f"flossing gradient of {name}": Mutation(
        by_autograd,
        "flossing_gradient",
        "    require_finite_gradients(",
        f'    gradients["{name}"] = 1.001 * gradients["{name}"]\n    require_finite_gradients(',
        _FLOSSING,
    )
    for name in ("ws", "J", "b")
}

UPDATES = {
    "learning rate": Mutation(config.Adam, "rate", "self.lear", "1.001 * self.lear", ("optimiser/golden",)),
    "learning rate not rounded": Mutation(
        config.Adam, "rate", "float(np.float32(self.learning_rate))", "self.learning_rate", ("tanh_float64/updates",)
    ),
    "clipping": Mutation(config.Adam, "clip_threshold", "(self.", "(1.001 * self.", ("optimiser/golden",)),
    "clipping not rounded": Mutation(
        config.Adam, "clip_threshold", "float(np.float32(self.clip_norm))", "self.clip_norm", ("optimiser/golden",)
    ),
    "norm that clips": Mutation(optimiser, "clip", "= euclidean", "= 1.001 * euclidean", ("optimiser/golden",)),
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
    "seed of the training trials": Mutation(epochs, "batch", "seed(epoch)", "seed(epoch + 1)", RUN),
    "seed of the flossing trials": Mutation(epochs, "_flossing_epoch", "(epoch + fl", "(epoch + 1 + fl", RUN),
    "amplitude of the inputs": Mutation(
        config.TrainingConfig, "draw_trials", "=self.trials", "=1.001 * self.trials", RUN
    ),
    "trials not shuffled": Mutation(epochs, "batch", "order - 1", "np.sort(order) - 1", RUN),
    "seed of the shuffle": Mutation(epochs, "_trial_orders", "range(start, min(", "range(start + 1, 1 + min(", RUN),
    "seed of the frame": Mutation(state, "initial_state", "seeds.frame", "seeds.frame + 1", RUN),
    "seed of the initial state": Mutation(
        state, "initial_parameters", "seeds.initial_state)", "seeds.initial_state + 1)", ("golden/c08",)
    ),
    "seed of the network": Mutation(state, "initial_parameters", "seeds.network,", "seeds.network + 1,", RUN),
    "flossing from the last trial": Mutation(
        epochs, "_flossing_gradient", "x0[:, trial % x0.shape[1]]", "x0[:, -1]", RUN
    ),
    "flossing with training's moments": Mutation(
        epochs, "_flossing_epoch", "adam = state.parameters, state.flossing_adam",
        "adam = state.parameters, state.training_adam", RUN,
    ),
    "flossing clips": Mutation(
        epochs, "_flossing_epoch", "settings.clip_threshold", "1e-4", RUN
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
    "the first episode counts": Mutation(epochs, "flossing_episode", "if length and epoch > 1", "if length", RUN),
    "all parameters clipped together": Mutation(
        epochs, "training_updates", "clip(gradient, limit, length)", "gradient * (0.03 / lengths[0])", RUN
    ),
    "mean coupling": Mutation(
        weights, "initial_weights", "real(chosen.mean_coupling)", "real(1.001 * chosen.mean_coupling)", ("J_gaussian",)
    ),
}  # fmt: skip

MUTATIONS = STEPS | JACOBIANS | SURROGATES | LOSSES | REVERSE_PASSES | UPDATES | RUNS
