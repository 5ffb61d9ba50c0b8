"""Modules of other libraries against their explicit Jacobians (extra ``third-party``; skipped if not installed)."""

from __future__ import annotations

import importlib
import warnings
from importlib.metadata import version

import pytest
import torch
from module_cases import jacobian_exponents, normal
from torch import nn

from pyflossing import lyapunov_spectrum
from pyflossing.modules.state import StateLayout
from pyflossing.modules.ways import plain_attention

B, N, T, K = 2, 4, 12, 2

# the versions with which these were compared; others may do
VERSIONS = {
    "snntorch": "1.0.0", "norse": "1.1.0", "spikingjelly": "2.0.0", "ncps": "1.0.1", "mambapy": "1.2.0",
    "torchdiffeq": "0.2.5", "torchcde": "0.2.5", "x-transformers": "2.31.10",
}  # fmt: skip


def recurrent(size=N):
    torch.manual_seed(5)
    return nn.Linear(size, size)


def snntorch(kind, n_parts, **settings):
    def build(library):
        neuron, weights = getattr(library, kind)(spike_grad=library.surrogate.sigmoid(slope=2), **settings), recurrent()

        def step(state, x):
            current = weights(torch.sigmoid(state[-1])) + x
            return neuron(current, *state)[1:]

        return step, tuple(normal(B, N, seed=i) / 2 for i in range(n_parts)), [neuron, weights]

    return build


def snntorch_recurrent(library):
    neuron = library.RLeaky(beta=0.8, linear_features=N, spike_grad=library.surrogate.sigmoid(slope=2))
    return lambda s, x: neuron(x, *s), (normal(B, N), normal(B, N, seed=2)), [neuron]


def snntorch_lstm(library):
    cell = library.SLSTM(N, N, spike_grad=library.surrogate.sigmoid(slope=2))
    return lambda s, x: cell(x, *s)[1:], (normal(B, N), normal(B, N, seed=2)), [cell]


def norse(kind, *sizes):
    def build(library):
        torch.manual_seed(6)
        cell, weights = getattr(library, kind)(*sizes), recurrent()
        with torch.no_grad():
            first = cell(normal(B, N, dtype=torch.float32))[1]
        state = type(first)(*[part.double() + normal(*part.shape, seed=i) / 10 for i, part in enumerate(first)])
        return lambda s, x: cell(weights(torch.tanh(s.v)) + x, s)[1], state, [cell, weights]

    return build


def spikingjelly(kind):
    def build(library):
        surrogate = importlib.import_module("spikingjelly.activation_based.surrogate")
        node, weights = getattr(library, kind)(surrogate_function=surrogate.Sigmoid(alpha=2.0)), recurrent()

        def step(v, x):
            node.v = v
            node(weights(torch.tanh(v)) + x)
            return node.v

        return step, normal(B, N) / 2, [node, weights]

    return build


def liquid(library):
    wiring = importlib.import_module("ncps.wirings").FullyConnected(N)
    torch.manual_seed(7)
    cell = library.LTCCell(wiring, in_features=N)
    return lambda h, x: cell(x, h)[1], normal(B, N), [cell]


def closed_form(library):
    torch.manual_seed(7)
    cell = library.CfCCell(N, N)
    return lambda h, x: cell(x, h, 1.0)[1], normal(B, N), [cell]


def wired_closed_form(library):
    wiring = importlib.import_module("ncps.wirings").AutoNCP(8, 2)
    torch.manual_seed(7)
    wiring.build(N)
    cell = library.WiredCfCCell(N, wiring)
    return lambda h, x: cell(x, h, 1.0)[1], normal(B, 8), [cell]


def mamba(library):
    torch.manual_seed(8)
    config = library.MambaConfig(d_model=N, n_layers=1, d_state=3)
    block = library.MambaBlock(config)
    window = torch.zeros(B, config.d_inner, config.d_conv - 1, dtype=torch.float64)

    def step(s, x):
        out, cache = block.step(x + s["out"], (s["h"], s["window"]))
        return {"out": torch.tanh(out), "h": cache[0], "window": cache[1]}

    start = {"out": normal(B, N), "h": normal(B, config.d_inner, 3, seed=3), "window": window}
    return step, start, [block]


def neural_ode(library):
    field = recurrent()
    times = torch.tensor([0.0, 0.5], dtype=torch.float64)

    def step(h, x):
        return library.odeint(lambda t, y: torch.tanh(field(y)) + x - y, h, times, method="rk4")[-1]

    return step, normal(B, N), [field]


def neural_cde(library):
    field = recurrent()
    path = library.CubicSpline(library.hermite_cubic_coefficients_with_backward_differences(normal(B, 6, 1, seed=9)))
    times = torch.tensor([1.0, 1.5], dtype=torch.float64)

    def step(h, x):
        slope = lambda t, z: torch.tanh(field(z))[..., None]  # noqa: E731
        return library.cdeint(X=path, func=slope, z0=h, t=times, method="rk4", adjoint=False)[:, -1] + 0.1 * x

    return step, normal(B, N), [field]


def transformer(kind):
    def build(library):
        torch.manual_seed(10)
        if kind == "Encoder":
            module = library.Encoder(dim=8, depth=1, heads=2, attn_dim_head=4)
        else:
            module = library.Attention(dim=8, heads=2, dim_head=4)
        module.eval()
        return lambda h, x: torch.tanh(h + module(h) + x[:, None, :1]), normal(B, 3, 8), [module]

    return build


CASES = {
    ("snntorch", "Leaky"): snntorch("Leaky", 1, beta=0.9),
    ("snntorch", "Synaptic"): snntorch("Synaptic", 2, alpha=0.7, beta=0.9),
    ("snntorch", "Alpha"): snntorch("Alpha", 3, alpha=0.9, beta=0.7),
    ("snntorch", "Lapicque"): snntorch("Lapicque", 1, beta=0.8),
    ("snntorch", "RLeaky"): snntorch_recurrent,
    ("snntorch", "SLSTM"): snntorch_lstm,
    ("norse.torch", "LIFCell"): norse("LIFCell"),
    ("norse.torch", "LICell"): norse("LICell"),
    ("norse.torch", "LIFRecurrentCell"): norse("LIFRecurrentCell", N, N),
    ("norse.torch", "LSNNRecurrentCell"): norse("LSNNRecurrentCell", N, N),
    ("norse.torch", "LIFAdExCell"): norse("LIFAdExCell"),
    ("norse.torch", "LIFExCell"): norse("LIFExCell"),
    ("norse.torch", "LIFBoxCell"): norse("LIFBoxCell"),
    ("spikingjelly.activation_based.neuron", "IFNode"): spikingjelly("IFNode"),
    ("spikingjelly.activation_based.neuron", "LIFNode"): spikingjelly("LIFNode"),
    ("spikingjelly.activation_based.neuron", "ParametricLIFNode"): spikingjelly("ParametricLIFNode"),
    ("spikingjelly.activation_based.neuron", "KLIFNode"): spikingjelly("KLIFNode"),
    ("ncps.torch", "LTCCell"): liquid,
    ("ncps.torch", "CfCCell"): closed_form,
    ("ncps.torch", "WiredCfCCell"): wired_closed_form,
    ("mambapy.mamba", "MambaBlock"): mamba,
    ("torchdiffeq", "odeint"): neural_ode,
    ("torchcde", "cdeint"): neural_cde,
    ("x_transformers", "Encoder"): transformer("Encoder"),
    ("x_transformers", "Attention"): transformer("Attention"),
}


@pytest.mark.filterwarnings("ignore")  # the libraries' own
@pytest.mark.parametrize(("library", "kind"), CASES, ids=[f"{a.split('.')[0]}-{b}" for a, b in CASES])
def test_modules_of_other_libraries_have_the_exponents_of_their_jacobians(library, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        imported = pytest.importorskip(library)
    step, state, modules = CASES[library, kind](imported)
    for module in modules:
        module.double()
    inputs = 0.5 * normal(T, B, N, seed=20)
    found = lyapunov_spectrum(step, state, inputs, K, transient=0, dtype=torch.float64)
    layout = StateLayout.of(state, batched=True, dtype=torch.float64)
    plain = plain_attention(step)

    def step_of_first(h, given):  # with both examples, as libraries keep what they know of the batch
        x, second = given
        return layout.flatten(plain(layout.unflatten(torch.stack([h, second])), x))[0]

    first, second = layout.flatten(state)
    given = []
    for x in inputs:
        given.append((x, second))
        second = layout.flatten(plain(layout.unflatten(torch.stack([first, second])), x))[1].detach()
    expected = jacobian_exponents(step_of_first, first, given, k=K)
    # a neuron that spikes and is reset to zero loses its direction: what is then left is NaN
    left = found.exponents[0].isfinite()
    assert left[0]
    torch.testing.assert_close(found.exponents[0][left], expected[left], rtol=1e-6, atol=1e-6)


def test_versions_are_named_for_every_library():
    names = {a.split(".")[0].replace("_", "-") for a, _ in CASES}
    assert names == set(VERSIONS)
    assert len(CASES) == 25
    assert version("snntorch")
