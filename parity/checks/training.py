"""Checks of training against our Julia: every epoch from the same parameters, and whole runs on their own.

Re-synchronised: an epoch of ours from the parameters that Julia's run has before it. Free-running: both train from the
33 parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from parity.bridge.connection import JuliaConnection
from parity.checks import resynchronised
from parity.checks.cases import NETWORKS, PARAMETERS, NetworkUnderTest, julia_network
from parity.checks.free_running import judged_like, simulation
from parity.checks.model import Arrays, Check, Level, Provenance
from pyflossing.config import TrainingConfig


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


def checks(
    networks: Sequence[NetworkUnderTest] = NETWORKS,
    settings: Mapping[str, Sequence[RunSetting]] = MappingProxyType(SETTINGS),
) -> Iterator[Check]:
    """Re-synchronised and free-running checks of every network, in both types."""
    for under_test in networks:
        for dtype, of_dtype in settings.items():
            prefix, title = f"training/live/{under_test.title}_{dtype}", under_test.title
            chosen = [(setting, configuration(under_test, setting, dtype)) for setting in of_dtype]
            yield from _resynchronised(prefix, title, [(f"IC={setting.IC}", config) for setting, config in chosen])
            # Julia compiles a whole run for every network and type, which takes it many seconds
            if dtype == "float32" or under_test.network.kind == "spiking":
                yield from _free_running(prefix, under_test, chosen)


def _resynchronised(prefix: str, title: str, titled: resynchronised.Titled) -> Iterator[Check]:
    rows = {
        "epochs": (
            "loss, accuracy and gradients of epochs, from Julia's parameters",
            resynchronised.training_epochs,
            resynchronised.julia_training_epochs,
            Level.TRAJECTORY,
        ),
        "flossing": (
            "exponents, loss and gradients of flossing epochs, from Julia's parameters",
            resynchronised.flossing_epochs,
            resynchronised.julia_flossing_epochs,
            Level.TRAJECTORY,
        ),
        "updates": (
            "parameters and moments after clipping and Adam, from Julia's gradients",
            resynchronised.updates,
            resynchronised.julia_updates,
            Level.STEP,
        ),
    }
    for row, (quantity, ours, theirs, level) in rows.items():
        yield Check(
            f"{prefix}/{row}",
            f"{title}: {quantity}",
            Provenance.OUR_JULIA,
            partial(ours, titled),
            partial(theirs, titled),
            level=level,
            follows_julia=True,
        )


def _free_running(prefix: str, under_test: NetworkUnderTest, chosen: Chosen) -> Iterator[Check]:
    rows = {
        "schedule": (
            "which epochs floss, order of the trials, initial weights",
            _exact,
            _julia_exact,
            Level.EXACT,
        ),
        "run": (
            "losses, accuracies, spectra, gradient norms, final parameters",
            _free,
            _julia_free,
            Level.TRAINING,
        ),
    }
    for row, (quantity, ours, theirs, level) in rows.items():
        yield Check(
            f"{prefix}/{row}",
            f"{under_test.title}: free run: {quantity}",
            Provenance.OUR_JULIA,
            partial(ours, chosen),
            partial(theirs, under_test, chosen),
            level=level,
        )


Chosen = Sequence[tuple[RunSetting, TrainingConfig]]


def configuration(under_test: NetworkUnderTest, setting: RunSetting, dtype: str) -> TrainingConfig:
    """The typed settings of a run."""
    return TrainingConfig.from_legacy(*setting.values(under_test), network=under_test.network, dtype=dtype)  # type: ignore[arg-type]


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
