"""Checks of training against our Julia: every epoch from the same parameters, and whole runs on their own.

Re-synchronised: our run gives its parameters before an epoch; Julia computes that epoch's loss, spectrum, gradients and
update from them, with trials and their order drawn by itself. Free-running: both train from the 33 parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any

import numpy as np

from parity.bridge.connection import JuliaConnection
from parity.checks.cases import NETWORKS, PARAMETERS, Case, NetworkUnderTest, julia_network
from parity.checks.comparators import Estimate
from parity.checks.evaluate import estimates
from parity.checks.free_running import judged_like, simulation
from parity.checks.model import Array, Arrays, Check, Level, Provenance
from parity.checks.step import UPDATE_CAUSE, update_bound
from parity.checks.trajectory import julia_flossing, julia_gradients, julia_loss
from pyflossing import training
from pyflossing.config import TrainingConfig

_FLOSSED = ("ws", "J", "b")


@dataclass(frozen=True)
class RunSetting:
    """Sizes, seeds and schedule of a run; the names are those of the original's call."""

    N: int = 12
    E: int = 6
    Ef: int = 3
    Ei: int = 2
    Ep: int = 3
    Ni: int = 1
    B: int = 4
    T: int = 30
    Tp: int = 18
    Ti: int = 22
    seeds: tuple[int, int, int, int] = (3, 5, 7, 9)
    lr: float = 0.002
    IC: int = 1
    gbar: float = 0.1
    delay: int = 3
    nLE: int = 4  # noqa: N815 - the original's name
    task: int = -1
    Lwnt: float = -0.05

    def values(self, under_test: NetworkUnderTest) -> tuple[int | float, ...]:
        """The 33 parameters."""
        sizes = (self.N, self.E, self.Ef, self.Ei, self.Ep, self.Ni, self.B, 1, self.T, self.Tp, self.Ti)
        weights = (self.IC, under_test.gain, self.gbar, 1.0, self.delay, under_test.input_spread, 0.1, 1.0, -0.1)
        return (*sizes, *self.seeds, self.lr, 0.9, 0.99, *weights, 0.3, 0.05, self.nLE, self.task, 3, self.Lwnt)


GAUSSIAN, ORTHOGONAL = RunSetting(), RunSetting(N=10, IC=3, task=0, delay=2, E=5, Ef=2, Ni=2, Ep=1, seeds=(2, -4, 6, 8))
# An orthogonal J comes from a Float32 factorisation in the original: Float64 runs from it part after seven digits.
SETTINGS = {"float32": (GAUSSIAN, ORTHOGONAL), "float64": (GAUSSIAN,)}
_RESYNCHRONISED_EPOCHS, _RESYNCHRONISED_FLOSSING = (1, 3), (0, 1, -1)


def checks(
    networks: Sequence[NetworkUnderTest] = NETWORKS,
    settings: Mapping[str, Sequence[RunSetting]] = MappingProxyType(SETTINGS),
) -> Iterator[Check]:
    """Re-synchronised and free-running checks of every network, in both types."""
    for under_test in networks:
        for dtype, of_dtype in settings.items():
            prefix, title = f"training/live/{under_test.title}_{dtype}", under_test.title
            chosen = [(setting, configuration(under_test, setting, dtype)) for setting in of_dtype]
            rows: tuple[tuple[str, str, Any, Any, Level], ...] = (
                (
                    "epochs",
                    "loss, accuracy and gradients of epochs, from our parameters",
                    partial(_epochs, chosen),
                    partial(_julia_epochs, chosen),
                    Level.TRAJECTORY,
                ),
                (
                    "flossing",
                    "exponents, loss and gradients of flossing epochs, from our parameters",
                    partial(_flossing, chosen),
                    partial(_julia_flossing, chosen),
                    Level.TRAJECTORY,
                ),
                (
                    "updates",
                    "parameters and moments after clipping and Adam, from our gradients",
                    partial(_updates, chosen),
                    partial(_julia_updates, chosen),
                    Level.STEP,
                ),
                (
                    "schedule",
                    "free run: which epochs floss, order of the trials, initial weights",
                    partial(_exact, chosen),
                    partial(_julia_exact, under_test, chosen),
                    Level.EXACT,
                ),
                (
                    "run",
                    "free run: losses, accuracies, spectra, gradient norms, final parameters",
                    partial(_free, chosen),
                    partial(_julia_free, under_test, chosen),
                    Level.TRAINING,
                ),
            )
            # Julia compiles a whole run for every network and type, which takes it many seconds
            whole = dtype == "float32" or under_test.network.kind == "spiking"
            for row, quantity, ours, theirs, level in rows if whole else rows[:3]:
                against = Provenance.OUR_JULIA
                yield Check(f"{prefix}/{row}", f"{title}: {quantity}", against, ours, theirs, level=level)


Chosen = Sequence[tuple[RunSetting, TrainingConfig]]


def configuration(under_test: NetworkUnderTest, setting: RunSetting, dtype: str) -> TrainingConfig:
    """The typed settings of a run."""
    return TrainingConfig.from_legacy(*setting.values(under_test), network=under_test.network, dtype=dtype)  # type: ignore[arg-type]


@lru_cache(maxsize=64)
def records(config: TrainingConfig) -> tuple[list[training.EpochRecord], list[training.FlossingRecord], list[Any]]:
    """The records of a run, training and flossing, and for each flossing one the parameters after it."""
    epochs, flossing, after = [], [], []
    with training.suitable_threads(config.n_units):
        state = training.initial_state(config)
        for record in training.run(config, state):
            if isinstance(record, training.EpochRecord):
                epochs.append(record)
            else:
                flossing.append(record)
                after.append(state.parameters)
    return epochs, flossing, after


def _chosen_epochs(config: TrainingConfig) -> list[training.EpochRecord]:
    return [records(config)[0][epoch - 1] for epoch in _RESYNCHRONISED_EPOCHS]


def _chosen_flossing(config: TrainingConfig) -> list[tuple[training.FlossingRecord, Any]]:
    _, flossing, after = records(config)
    return [(flossing[place], after[place]) for place in _RESYNCHRONISED_FLOSSING]


def _arrays(parameters: Any) -> dict[str, Array]:
    return {name: getattr(parameters, name).numpy() for name in PARAMETERS}


def _epoch_case(config: TrainingConfig, record: training.EpochRecord, order: Array, data: tuple[Array, Array]) -> Case:
    n_states = config.network.n_states(config.n_units)
    return Case(
        f"epoch {record.epoch}",
        config.network,
        _arrays(record.parameters),
        data[0][:, :, order - 1],
        data[1][:, :, order - 1],
        config.task.first_scored_step,
        frame=np.zeros((n_states, 0)),
        n_steps=config.flossing.n_steps,
    )


@lru_cache(maxsize=256)
def _our_epoch(config: TrainingConfig, epoch: int) -> Case:
    record = records(config)[0][epoch - 1]
    trials = config.trials
    data = config.draw_trials(trials.batch_size, trials.n_steps, config.input_seed(epoch))
    return _epoch_case(config, record, record.trial_order, (data.inputs, data.targets))


def _epochs(chosen: Chosen) -> Arrays:
    """What the run recorded, with the bounds of a trajectory from its parameters."""
    results: dict[str, Any] = {}
    for setting, config in chosen:
        for record in _chosen_epochs(config):
            limits = estimates(_our_epoch(config, record.epoch), config.dtype)
            ours: dict[str, Any] = {"loss": np.float64(record.loss), "accuracy": np.float64(record.accuracy)}
            ours |= {f"gradient {name}": values for name, values in _arrays(record.gradients).items()}
            results |= _bounded(f"IC={setting.IC} epoch {record.epoch}", ours, limits)
    return results


def _bounded(title: str, ours: dict[str, Any], limits: Any) -> dict[str, Estimate]:
    return {f"{title}: {name}": replace(limits[name], values=values) for name, values in ours.items()}


def _julia_trials(julia: JuliaConnection, config: TrainingConfig, n: int, steps: int, seed: int) -> tuple[Array, Array]:
    legacy = config.to_legacy()
    amplitude, delay, task = legacy[21], legacy[22], legacy[30]
    answer = julia.call("generateInputOutput", n, steps, seed, 1, amplitude, delay, task)
    assert isinstance(answer, tuple)
    return np.asarray(answer[0]), np.asarray(answer[1])


def _julia_epochs(chosen: Chosen, julia: JuliaConnection) -> Arrays:
    results: dict[str, Any] = {}
    for setting, config in chosen:
        legacy, trials = config.to_legacy(), config.trials
        orders = np.asarray(julia.call("trial_order", config.n_epochs, trials.batch_size))
        for record in _chosen_epochs(config):
            seed = int(legacy[1]) * int(legacy[12]) + record.epoch
            data = _julia_trials(julia, config, trials.batch_size, trials.n_steps, seed)
            of = _epoch_case(config, record, orders[:, record.epoch - 1], data)
            answer = julia_loss(julia, of, config.dtype) | julia_gradients(julia, of, config.dtype)
            results |= {f"IC={setting.IC} epoch {record.epoch}: {name}": values for name, values in answer.items()}
    return results


def _flossing_case(config: TrainingConfig, record: training.FlossingRecord, inputs: Array, frame: Array) -> Case:
    parameters = _arrays(record.parameters)
    return Case(
        f"flossing {record.epoch}/{record.flossing_epoch}",
        config.network,
        parameters | {"x0": parameters["x0"][:, :1]},
        inputs,
        np.zeros_like(inputs),
        first_scored_step=1,
        frame=frame,
        n_steps=config.flossing.n_steps,
        target=config.flossing.target,
        flossed=config.flossing.n_exponents,
        trained=False,
    )


@lru_cache(maxsize=256)
def _our_flossing(config: TrainingConfig, place: int) -> Case:
    record = records(config)[1][place]
    settings = config.flossing
    seed = config.input_seed(record.epoch + record.flossing_epoch)
    data = config.draw_trials(1, settings.trial_steps, seed)
    return _flossing_case(config, record, data.inputs, training.initial_state(config).frame.numpy())


def _flossing_title(setting: RunSetting, record: training.FlossingRecord) -> str:
    return f"IC={setting.IC} before epoch {record.epoch}, flossing epoch {record.flossing_epoch}"


def _flossing(chosen: Chosen) -> Arrays:
    results: dict[str, Any] = {}
    for setting, config in chosen:
        for place, (record, _) in zip(_RESYNCHRONISED_FLOSSING, _chosen_flossing(config), strict=True):
            limits = estimates(_our_flossing(config, place), config.dtype)
            exponents = record.exponents.astype(config.dtype)
            ours = {"flossing exponents": exponents, "flossing loss": np.float64(record.loss)}
            ours |= {f"flossing gradient {name}": values.numpy() for name, values in record.gradients.items()}
            results |= _bounded(_flossing_title(setting, record), ours, limits)
    return results


def _julia_flossing(chosen: Chosen, julia: JuliaConnection) -> Arrays:
    """The frame is handed over: how well two frames agree is checked by itself (step/live/frame)."""
    results: dict[str, Any] = {}
    for setting, config in chosen:
        legacy = config.to_legacy()
        for record, _ in _chosen_flossing(config):
            seed = int(legacy[1]) * int(legacy[12]) + record.epoch + record.flossing_epoch
            inputs, _targets = _julia_trials(julia, config, 1, config.flossing.trial_steps, seed)
            of = _flossing_case(config, record, inputs, training.initial_state(config).frame.numpy())
            title = _flossing_title(setting, record)
            results |= {f"{title}: {n}": values for n, values in julia_flossing(julia, of, config.dtype).items()}
    return results


@dataclass(frozen=True)
class _Update:
    """One update: x, G, m, v before it, its number from 1, whether it clips, and what came out of it."""

    title: str
    config: TrainingConfig
    before: tuple[Array, Array, Array, Array]
    number: int
    clips: bool
    after: dict[str, Array]


def _each_update(chosen: Chosen) -> Iterator[_Update]:
    for setting, config in chosen:
        epochs, flossing, _ = records(config)
        for place in (0, 1, len(epochs) - 2):  # the moments after an update are those before the next
            record, following = epochs[place], epochs[place + 1]
            for name in PARAMETERS:
                state, next_state = record.adam[name], following.adam[name]
                gradient = getattr(record.gradients, name).double()
                yield _Update(
                    f"IC={setting.IC} epoch {record.epoch}: {name}",
                    config,
                    _numpy(getattr(record.parameters, name), gradient, state.m, state.v),
                    record.epoch,
                    True,
                    {
                        "x": getattr(record.updated, name).numpy(),
                        "m": next_state.m.numpy(),
                        "v": next_state.v.numpy(),
                    },
                )
        for place, (flossed, updated) in zip(_RESYNCHRONISED_FLOSSING, _chosen_flossing(config), strict=True):
            for name in _FLOSSED:
                state = flossed.adam[name]
                yield _Update(
                    f"{_flossing_title(setting, flossed)}: {name}",
                    config,
                    _numpy(getattr(flossed.parameters, name), flossed.gradients[name], state.m, state.v),
                    range(len(flossing))[place] + 1,
                    False,
                    {"x": getattr(updated, name).numpy()},
                )


def _numpy(*tensors: Any) -> tuple[Array, Array, Array, Array]:
    x, gradient, m, v = (tensor.numpy() for tensor in tensors)
    return x, gradient, m, v


def _updates(chosen: Chosen) -> Arrays:
    results: dict[str, Any] = {}
    for update in _each_update(chosen):
        x, _, m, v = update.before
        for part, values in update.after.items():
            bound = update_bound(part, {"x": x, "m": m, "v": v}[part], values)
            results[f"{update.title} {part}"] = Estimate(values, bound, UPDATE_CAUSE)
    return results


def _julia_updates(chosen: Chosen, julia: JuliaConnection) -> Arrays:
    results: dict[str, Any] = {}
    for update in _each_update(chosen):
        rates = update.config.to_legacy()[15:18]
        limit = float(np.float32(0.03)) if update.clips else float("inf")
        answer = julia.call("adam_update", *update.before, update.number, *rates, limit)
        assert isinstance(answer, dict)
        results |= {f"{update.title} {part}": answer[part] for part in update.after}
    return results


def _julia_run(under_test: NetworkUnderTest, setting: RunSetting, dtype: str, julia: JuliaConnection) -> dict[str, Any]:
    name = "Float32" if dtype == "float32" else "Float64"
    answer = julia.call("train_network", *julia_network(under_test.network), name, *setting.values(under_test))
    assert isinstance(answer, dict)
    return answer


def _exact(chosen: Chosen) -> Arrays:
    results: dict[str, Any] = {}
    for setting, config in chosen:
        ours, _ = simulation(config)
        found = {"flossing epochs": ours.flossing_epochs, "trial order": ours.trial_order}
        found |= {f"initial {name}": values for name, values in ours.initial.items() if _is_exact(name, setting)}
        results |= {f"IC={setting.IC}: {name}": values for name, values in found.items()}
    return results


def _is_exact(name: str, setting: RunSetting) -> bool:
    """The relaxed state and the orthogonal J are not exact; they have rows of their own."""
    return name != "x0" and (name != "J" or setting.IC == 1)


def _julia_exact(under_test: NetworkUnderTest, chosen: Chosen, julia: JuliaConnection) -> Arrays:
    results: dict[str, Any] = {}
    for setting, config in chosen:
        answer = _julia_run(under_test, setting, config.dtype, julia)
        found = {"flossing epochs": answer["flossing_epochs"], "trial order": answer["trial_order"]}
        found |= {f"initial {name}": answer[f"initial_{name}"] for name in PARAMETERS if _is_exact(name, setting)}
        results |= {f"IC={setting.IC}: {name}": values for name, values in found.items()}
    return results


def _free(chosen: Chosen) -> Arrays:
    return {
        f"IC={setting.IC}: {name}": values
        for setting, config in chosen
        for name, values in simulation(config)[1].items()
    }


def _julia_free(under_test: NetworkUnderTest, chosen: Chosen, julia: JuliaConnection) -> Arrays:
    results: dict[str, Any] = {}
    for setting, config in chosen:
        answer = _julia_run(under_test, setting, config.dtype, julia)
        theirs = {name: answer[name.replace(" ", "_")] for name in ("loss", "accuracy", "flossing loss", "spectra")}
        theirs |= {f"norm {name}": answer[f"norm_{name}"] for name in PARAMETERS}
        theirs |= {f"final {name}": answer[f"final_{name}"] for name in PARAMETERS}
        wanted = judged_like(simulation(config)[1], theirs)
        results |= {f"IC={setting.IC}: {name}": values for name, values in wanted.items()}
    return results
