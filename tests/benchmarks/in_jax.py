"""The algorithm as one would write it down in JAX: ``lax.scan`` under ``jit``, and ``value_and_grad``.

What the timings are compared with, where JAX is installed (extra ``bench``). Jacobians are not formed, only their
products with frames. A test shows that it computes the same. Call :func:`one_thread` before JAX is used first.
"""

from __future__ import annotations

import os

import torch

from pyflossing import SpikingNetwork, TanhNetwork
from pyflossing.model.spectrum import transient_steps


def one_thread() -> None:
    """Keep XLA to one thread, of calls and of its products."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"


def array(x: torch.Tensor):
    import jax

    return jax.numpy.asarray(x.detach().contiguous().numpy())


def _shape(surrogate):
    import jax.numpy as jnp

    g = surrogate.sharpness
    return {
        "fast_sigmoid": lambda v: 1 / (1 + jnp.abs(g * v)) ** 2,
        "sech2": lambda v: 1 - jnp.tanh(g * v) ** 2,
    }[surrogate.name]


def _step_function(low: float, surrogate):
    import jax

    @jax.custom_jvp
    def step(v):
        return jax.numpy.where(v > 0, 1.0, low).astype(v.dtype)

    @step.defjvp
    def _(primals, tangents):
        return step(*primals), _shape(surrogate)(*primals) * tangents[0]

    return step


def functions(network):
    """One step, x (..., n_states) and u (..., N); and the Jacobian's product with a frame (n_states, k)."""
    import jax
    import jax.numpy as jnp

    if isinstance(network, TanhNetwork):
        return (
            lambda x, u, J: jnp.tanh(x) @ J.T + u,
            lambda x, new, J, Q: (1 - jnp.tanh(new) ** 2)[:, None] * (J @ Q),
        )
    if not isinstance(network, SpikingNetwork):
        sign, slope = _step_function(-1.0, network.sign_surrogate), _shape(network.surrogate)
        return lambda x, u, J: sign(x) @ J.T + u, lambda x, new, J, Q: slope(new)[:, None] * (J @ Q)
    alpha, beta, c = network.synaptic_decay, network.membrane_decay, network.membrane_gain
    spike, slope = _step_function(0.0, network.spike_surrogate), _shape(network.jacobian_surrogate)

    def step(x, u, J):
        mem, syn = jnp.split(x, 2, axis=-1)
        spikes = spike(mem - network.threshold)
        syn_next = alpha * syn + u + spikes @ J.T
        mem_next = (beta * mem + c * syn_next) * (1 - jax.lax.stop_gradient(spikes))
        return jnp.concatenate([mem_next, syn_next], axis=-1)

    def pushed(x, new, J, Q):
        n = len(J)
        rows = J @ (slope(x[:n] - network.threshold)[:, None] * Q[:n]) + alpha * Q[n:]
        return jnp.concatenate([beta * Q[:n] + c * rows, rows])

    return step, pushed


def training_gradient(network, n_steps: int, batch_size: int, first_scored_step: int):
    """A compiled function of parameters, inputs and targets: ((loss, accuracy), gradients).

    Trials are rows in it: with columns, as in Julia, it takes a third longer.
    """
    import jax
    import jax.numpy as jnp

    step, _ = functions(network)
    first, count = max(first_scored_step - 1, 0), batch_size * (n_steps - first_scored_step + 1)

    def loss(parameters, inputs, targets):
        ws, J, wr, b, offset, x0 = parameters

        def one(x, u):
            x = step(x, u, J)
            return x, x[:, : len(J)]

        drive = jnp.swapaxes(inputs, 1, 2) @ ws.T / ws.shape[1] + b
        _, states = jax.lax.scan(one, x0.T, drive)
        r, y = states[first:] @ wr[0] + offset, targets[first:, 0]
        right = ((r >= 0) == (y > 0.5)).sum() / count
        return -(y * jax.nn.log_sigmoid(r) + (1 - y) * jax.nn.log_sigmoid(-r)).sum() / count, right

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def flossing_gradient(network, n_steps: int, target: float):
    """A compiled function of (ws, J, b), x, Q and inputs (>= n_steps, S): ((loss, exponents), gradients)."""
    import jax
    import jax.numpy as jnp

    step, pushed = functions(network)

    def loss(parameters, x, Q, inputs):
        ws, J, b = parameters

        def one(carry, u):
            x, Q = carry
            new = step(x, u, J)
            Q, R = jnp.linalg.qr(pushed(x, new, J, Q))
            return (new, Q), jnp.log(jnp.abs(jnp.diagonal(R)))

        _, logs = jax.lax.scan(one, (x, Q), inputs[:n_steps] @ ws.T / ws.shape[1] + b)
        exponents = logs[transient_steps(n_steps) :].mean(axis=0)
        return ((exponents - target) ** 2).mean(), exponents

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def updated(rates, limit: float):
    """A compiled step of Adam, each array clipped on its own: (arrays, gradients, m, v, t) to new ones and norms."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def update(arrays, gradients, ms, vs, t):
        norms = [jnp.linalg.norm(g) for g in gradients]
        g = [g * jnp.minimum(1, limit / norm) for g, norm in zip(gradients, norms, strict=True)]
        ms = [rates.beta1 * m + (1 - rates.beta1) * x for m, x in zip(ms, g, strict=True)]
        vs = [rates.beta2 * v + (1 - rates.beta2) * x * x for v, x in zip(vs, g, strict=True)]
        m_scale, v_scale = 1 - rates.beta1**t, 1 - rates.beta2**t
        steps = [
            rates.learning_rate * m / m_scale / (jnp.sqrt(v / v_scale) + 1e-8) for m, v in zip(ms, vs, strict=True)
        ]
        return [p - s for p, s in zip(arrays, steps, strict=True)], ms, vs, norms

    return update
