"""How long a comparison will take, told before it begins, and how far it is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from parity.bridge.connection import JuliaConnection
from parity.bridge.errors import JuliaError, NotRecorded
from parity.checks.cases import PARAMETERS, Case
from parity.checks.free_running import n_flossing_epochs
from parity.checks.julia_run import JuliaEpoch, flossing_case, start, training_case
from parity.checks.trajectory import julia_flossing, julia_training
from parity.checks.yardstick import as_tensor
from pyflossing._support.errors import NonFiniteError
from pyflossing._support.threads import suitable_threads
from pyflossing.config import TrainingConfig
from pyflossing.gradients import flossing_pass, training_pass
from pyflossing.model.loss import Parameters

_MANY = 50
"""Epochs for which it pays to find out beforehand."""
_MEASURING = 120
"""How many times an epoch of ours takes to measure its bounds."""
_SECONDS = 10.0


class Clock:
    """Tells how long ``most`` training epochs, and the flossing epochs before them, will take and have taken."""

    def __init__(self, config: TrainingConfig, most: int, say: Callable[[str], None]) -> None:
        self._config, self._say = config, say
        n_flossing = n_flossing_epochs(config, most) if config.flossing.n_exponents else 0
        self._n = {"training": most, "flossing": n_flossing}
        self._done, self._began, self._told = 0, time.monotonic(), time.monotonic()

    def tell(self, julia: JuliaConnection) -> None:
        """Say what is ahead."""
        n, total = self._n, sum(self._n.values())
        self._say(f"comparing {n['training']} epochs and {n['flossing']} flossing epochs")
        if total <= _MANY:
            return
        self._say("Julia compiles, and an epoch of either kind is timed")
        try:
            seconds = _seconds(julia, self._config, self._n)
        except (JuliaError, NotRecorded, NonFiniteError):
            return  # the comparison itself will say what is wrong
        self._say(f"this will take about {_words(seconds)}; --epochs N compares the first N epochs only")
        self._began = time.monotonic()

    def tick(self, of: JuliaEpoch) -> None:
        """One epoch more has been compared."""
        self._done += 1
        now = time.monotonic()
        if now - self._told >= _SECONDS:
            self._told = now
            total = sum(self._n.values())
            rest = (now - self._began) / self._done * (total - self._done)
            # the first epochs are the slow ones: Julia compiles, and bounds are measured
            ahead = f"; about {_words(rest)} more" if self._done > max(20, total / 50) else ""
            what = f"flossing epoch {of.flossing_epoch} before epoch" if of.flossing_epoch else "epoch"
            self._say(f"{what} {of.epoch} of {self._n['training']} compared{ahead}")


def _seconds(julia: JuliaConnection, config: TrainingConfig, n: dict[str, int]) -> float:
    """Both languages compute at once: the slower one counts."""
    parameters, frame = start(julia, config)
    order = np.arange(1, config.trials.batch_size + 1)
    training = training_case(julia, config, 1, order, parameters)
    total = _of_kind(
        n["training"], _timed(lambda: julia_training(julia, training, config.dtype)), _ours(config, training)
    )
    if n["flossing"]:
        flossing = flossing_case(julia, config, 2, parameters, frame)
        julias = _timed(lambda: julia_flossing(julia, flossing, config.dtype))
        total += _of_kind(n["flossing"], julias, _ours(config, flossing))
    return total


def _of_kind(n: int, theirs: float, ours: float) -> float:
    # ours is computed twice, from Julia's parameters and in the free run
    return n * max(theirs, 2 * ours) + _MEASURING * ours * math.log2(n + 1)


def _ours(config: TrainingConfig, case: Case) -> float:
    p = Parameters(*(as_tensor(case.parameters[name], config.dtype) for name in PARAMETERS))
    network = config.network
    inputs, targets, frame = (as_tensor(values, config.dtype) for values in (case.inputs, case.targets, case.frame))

    def compute() -> Any:
        with suitable_threads(config.n_units):
            if case.flossed:
                return flossing_pass.flossing_gradient(
                    network, p, p.x0[:, 0], frame, inputs[:, :, 0], case.n_steps, case.target
                )
            return training_pass.training_gradient(network, p, inputs, targets, case.first_scored_step)

    return _timed(compute)


def _timed(compute: Callable[[], Any]) -> float:
    compute()  # the first time something is compiled or loaded
    began = time.perf_counter()
    compute()
    return time.perf_counter() - began


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
