"""Checks of networks against numbers of the authors' programs: initial states, losses, spectra, gradients, updates.

The tanh network has its numbers from the authors' Julia code, the first flossing and the first training epoch of each
recorded run; the spiking network from their Python example, with other input and weights so that it spikes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from parity.checks.cases import PARAMETERS, Case
from parity.checks.comparators import Estimate
from parity.checks.evaluate import estimates
from parity.checks.golden_files import ORIGINAL_NAMES, first_scored_step, has, load, number, runs
from parity.checks.model import Array, Arrays, Check, Level, Provenance, recorded
from parity.checks.relaxation import relaxed
from parity.checks.spiking_example import spiking_estimates
from pyflossing.config import Adam
from pyflossing.model import spectrum
from pyflossing.model.networks import TanhNetwork
from pyflossing.training import optimiser


def checks() -> Iterator[Check]:
    """Golden checks of initial states, first epochs and the spiking example."""
    yield _check(
        "trajectory/golden/initial_state",
        "tanh network: initial state, after 100 steps without input",
        [f"{key.split('/')[0]}/init_xInit" for key in _keys("relax_randn")],
        _initial_states,
        level=Level.TRAJECTORY,
    )
    yield _check(
        "step/golden/frame", "orthonormal frame: Q of Float32 normals", _keys("ons_Q0"), _frames, level=Level.STEP
    )
    yield from _first_epochs()
    yield _check(
        "optimiser/golden/first_update",
        "parameters after the first epoch: clipping and Adam from the recorded gradients",
        _keys(*(f"epoch1_{name}" for name in ORIGINAL_NAMES.values())),
        _first_updates,
    )
    yield from _spiking()


def _check(name: str, quantity: str, keys: Sequence[str], ours: Callable[[], Arrays], **rest: Any) -> Check:
    """A check of the recorded values of some keys."""
    return Check(
        name,
        quantity,
        Provenance.AUTHORS_JULIA,
        ours,
        recorded(partial(_numbers, keys)),
        needs_julia=False,
        **rest,
    )


def _numbers(keys: Sequence[str]) -> Arrays:
    return {key: number(key) for key in keys}


def _keys(*names: str) -> list[str]:
    """What all runs recorded under some names."""
    return [f"{run}/{name}" for run in runs() for name in names if has(f"{run}/{name}")]


def _initial_states() -> Arrays:
    results = {}
    for key in _keys("relax_randn"):
        run, _ = key.split("/")
        j, b, normals = (load(f"{run}/{name}") for name in ("init_J", "init_b", "relax_randn"))
        results[f"{run}/init_xInit"] = relaxed(TanhNetwork(), j, b, normals, "float32")
    return results


def _frames() -> Arrays:
    results = {}
    for key in _keys("ons_Q0"):
        run, _ = key.split("/")
        p = runs()[run]
        ours = spectrum.initial_frame(p["N"], p["nLE"], p["sONS"]).numpy()
        condition = np.linalg.cond(load(f"{run}/ons_randn").astype(np.float64))
        bound = np.asarray(np.finfo(np.float32).eps * condition)
        cause = "eps of Float32 times the condition of the normals"
        results[key] = Estimate(ours, bound, cause)
    return results


@lru_cache(maxsize=16)
def training_case(run: str) -> Case:
    """The first training epoch of a recorded run."""
    p = runs()[run]
    parameters = {name: load(f"{run}/trainparam_{ORIGINAL_NAMES[name]}") for name in PARAMETERS}
    return Case(
        run,
        TanhNetwork(),
        parameters,
        load(f"{run}/train_first_s_shuffled"),
        load(f"{run}/train_first_target_shuffled"),
        first_scored_step(p),
        frame=np.zeros((p["N"], 0), dtype=np.float32),
        n_steps=p["Tp"],
    )


@lru_cache(maxsize=16)
def flossing_case(run: str) -> Case:
    """The first flossing epoch of a recorded run; its one trial starts from the first column of the initial state."""
    p = runs()[run]
    names = {name: "flossparam" if name in ("ws", "J", "b") else "init" for name in PARAMETERS}
    parameters = {name: load(f"{run}/{kind}_{ORIGINAL_NAMES[name]}") for name, kind in names.items()}
    inputs = load(f"{run}/floss_first_s")
    return Case(
        run,
        TanhNetwork(),
        parameters | {"x0": parameters["x0"][:, :1]},
        inputs,
        np.zeros_like(inputs),
        first_scored_step=1,
        frame=load(f"{run}/ons_Q0" if has(f"{run}/ons_Q0") else "c08_readme_small/ons_Q0"),
        n_steps=p["Tp"],
        target=p["Lwnt"],
        flossed=p["nLE"],
        trained=False,
    )


def _as_recorded(key: str, estimate: Estimate) -> Estimate:
    """Ours in the type in which the original recorded the number: it kept some Float32 results as Float64."""
    recorded_as = number(key)
    return replace(estimate, values=np.asarray(estimate.values).astype(recorded_as.dtype).reshape(recorded_as.shape))


def _collected(case: Callable[[str], Case], names: Mapping[str, str]) -> Arrays:
    """Estimates of all runs: ``names`` maps those of ``evaluate`` to recorded ones."""
    results = {}
    for run in runs():
        judged = estimates(case(run), "float32")
        for ours, theirs in names.items():
            results[f"{run}/{theirs}"] = _as_recorded(f"{run}/{theirs}", judged[ours])  # type: ignore[arg-type]
    return results


def _first_epochs() -> Iterator[Check]:
    rows = {
        "loss": ("loss and accuracy of the first training epoch", training_case, {"loss": "train_loss#1"}),
        "gradients": (
            "gradients of the first training epoch",
            training_case,
            {f"gradient {name}": f"traingrad_{ORIGINAL_NAMES[name]}" for name in PARAMETERS},
        ),
        "spectrum": (
            "Lyapunov spectrum and loss of the first flossing epoch",
            flossing_case,
            {"flossing exponents": "floss_ls#1", "flossing loss": "floss_loss#1"},
        ),
        "flossing_gradients": (
            "gradients of the first flossing epoch",
            flossing_case,
            {f"flossing gradient {name}": f"flossgrad_{name}" for name in ("ws", "J", "b")},
        ),
    }
    rows["loss"][2]["accuracy"] = "train_acc#1"
    for title, (quantity, case, names) in rows.items():
        yield _check(
            f"trajectory/golden/{title}",
            f"tanh network: {quantity}",
            _keys(*names.values()),
            partial(_collected, case, names),
            level=Level.TRAJECTORY,
        )


def _first_updates() -> Arrays:
    results: dict[str, Array] = {}
    for run, p in runs().items():
        settings = Adam(p["lr"], p["b1"], p["b2"])
        rates = optimiser.Rates(settings.rate, settings.beta1, settings.beta2)
        for name in ORIGINAL_NAMES.values():
            before = torch.from_numpy(load(f"{run}/trainparam_{name}"))
            gradient = torch.from_numpy(load(f"{run}/traingrad_{name}"))
            clipped = optimiser.clip(gradient, settings.clip_threshold)
            fresh = optimiser.AdamState.fresh(before, rates)
            results[f"{run}/epoch1_{name}"] = optimiser.adam_update(before, clipped, fresh, rates)[0].numpy()
    return results


def _spiking() -> Iterator[Check]:
    rows = {
        "raster": ("spikes of every step", ("spikes",)),
        "states": ("membrane and synaptic current after every step", ("mem", "syn")),
        "spectrum": ("sums of log |R_ii| and their mean square", ("sum_log_R", "loss")),
        "gradients": ("gradients of that mean square through QR and spikes", ("grad_W_in", "grad_V")),
    }
    for title, (quantity, names) in rows.items():
        yield Check(
            f"trajectory/golden/spiking_{title}",
            f"spiking network: {quantity}",
            Provenance.AUTHORS_PYTHON,
            partial(_spiking_values, lambda example, name: spiking_estimates(example)[name], names),
            recorded(partial(_spiking_values, lambda example, name: number(f"spiking:{example}/{name}"), names)),
            level=Level.TRAJECTORY,
            needs_julia=False,
        )


def _spiking_values(value: Callable[[str, str], Any], names: Sequence[str]) -> Arrays:
    return {f"{example}/{name}": value(example, name) for example in "ab" for name in names}
