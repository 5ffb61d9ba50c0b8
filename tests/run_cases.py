"""Random runs, interruptions of them, and arrays at odd addresses."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch

from pyflossing import (
    AdaptiveSchedule,
    BinaryNetwork,
    DelayedCopy,
    DelayedXOR,
    Flossing,
    FlossingSchedule,
    NonFiniteError,
    Seeds,
    SpikingNetwork,
    TanhNetwork,
    TrainingConfig,
    TrainingResult,
    Trials,
    train,
)
from pyflossing._support.signals import stop_on_signals
from pyflossing.model.loss import Parameters
from pyflossing.runs.folder import LOG, RESULT, Stopped, train_or_resume
from pyflossing.training.optimiser import AdamState
from pyflossing.training.state import TrainingState

End = TrainingResult | str
"""A run's result, or the words of its error."""

NETWORKS = (TanhNetwork(), BinaryNetwork(), SpikingNetwork.per_step(), SpikingNetwork.published())


def random_config(chance: random.Random, n_epochs: int) -> TrainingConfig:
    """N from 2 to 130, small ones more often; B from 1 to 17; any network and type."""
    n_units, network = round(2 * 65 ** chance.random()), chance.choice(NETWORKS)
    period = chance.randint(2, 4)
    schedule = chance.choice(
        [FlossingSchedule(chance.randint(0, 3), chance.randint(1, 2), period, 4), AdaptiveSchedule(0.01, 2, period)]
    )
    flossing = Flossing(
        n_exponents=chance.randint(0, min(n_units, 40)), n_steps=chance.randint(13, 20), trial_steps=22,
        schedule=schedule, n_trials=chance.randint(1, 2), clip_norm=chance.choice([float("inf"), 0.1]),
        learning_rate=chance.choice([None, 0.01]),
    )  # fmt: skip
    return TrainingConfig(
        network=network,
        n_units=n_units,
        task=chance.choice([DelayedXOR(1), DelayedCopy(2)]),
        trials=Trials(batch_size=chance.randint(1, 17), n_steps=chance.randint(4, 40)),
        flossing=flossing,
        seeds=Seeds(network=chance.randint(1, 10**6)),
        n_epochs=n_epochs,
        dtype=chance.choice(["float32", "float64"]),
    )


def words(config: TrainingConfig) -> str:
    """What matters of a configuration, for messages."""
    return f"{config.network}, N = {config.n_units}, B = {config.trials.batch_size}, {config.dtype}; {config}"


def same_end(config: TrainingConfig, end: End) -> bool:
    """Whether a run ended as it does without interruptions, bit for bit, or with the same error."""
    try:
        whole = train(config)
    except NonFiniteError as error:
        return end == str(error)
    return isinstance(end, TrainingResult) and end.same_numbers(whole)


def stopped_and_resumed(
    folder: Path, config: TrainingConfig, chance: random.Random
) -> tuple[TrainingResult | str, int]:
    """The end of a run that is stopped after one to six updates again and again, and how often it was."""
    stops = 0
    while True:
        left = iter(range(chance.randint(1, 6), 0, -1))
        try:
            result = train_or_resume(
                folder, config, checkpoint_every=chance.choice([0.0, 1e9]), stop=lambda left=left: next(left) == 1
            )
        except Stopped:
            stops += 1
        except NonFiniteError as error:
            return str(error), stops
        else:
            return result, stops


def killed_and_resumed(
    folder: Path, config: TrainingConfig, chance: random.Random, signals: int
) -> tuple[End, Counter[str]]:
    """The end of a run whose processes are killed, or asked to stop, and how many of them ended in which way."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["pyflossing.runs.folder"])  # Python 3.11 looks for it without sys.path
    ways: Counter[str] = Counter()
    for _ in range(signals):
        process = processes.Process(target=_work, args=(folder, config, chance.choice([0.0, 0.0, 0.005])))
        number = chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        before = _changed(folder / LOG)
        process.start()
        # a process that asks for no signals yet would die of any; some are killed before they have begun
        while (
            process.is_alive()
            and _changed(folder / LOG) == before
            and not (number == signal.SIGKILL and chance.random() < 0.01)
        ):
            time.sleep(0.001)
        time.sleep(0.03 * chance.random())
        if process.is_alive() and process.pid:
            os.kill(process.pid, number)
        process.join()
        ways[_WAYS.get(process.exitcode or 0, f"exit code {process.exitcode}")] += 1
        if (folder / RESULT).exists():
            break
    try:
        return train_or_resume(folder, config), ways
    except NonFiniteError as error:
        return str(error), ways


_NOT_FINITE = 3
_WAYS = {
    0: "ended",
    _NOT_FINITE: "not finite",
    -signal.SIGKILL: "killed",
    128 + signal.SIGTERM: "stopped",
    128 + signal.SIGINT: "stopped",
}


def _work(folder: Path, config: TrainingConfig, checkpoint_every: float) -> None:
    with stop_on_signals(ends_process=True) as stop:
        try:
            train_or_resume(folder, config, checkpoint_every=checkpoint_every, stop=stop)
        except Stopped:
            sys.exit(stop.exit_code)
        except NonFiniteError:
            sys.exit(_NOT_FINITE)


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def placed(x: torch.Tensor, offset: int) -> torch.Tensor:
    """The same numbers at an address of which 64 leaves the remainder ``offset``, a multiple of their size."""
    memory = torch.empty(x.numel() + 64, dtype=x.dtype)
    start = (offset - memory.data_ptr()) % 64 // x.element_size()
    found = memory[start : start + x.numel()].view(x.shape).copy_(x)
    assert found.data_ptr() % 64 == offset or not x.numel()
    return found


def moved(state: TrainingState, chance: random.Random, offset: int | None = None) -> TrainingState:
    """The same state with its arrays at another place, ``offset`` or, each by itself, a random one."""

    def put(x: torch.Tensor) -> torch.Tensor:
        return placed(x, chance.randrange(0, 64, x.element_size()) if offset is None else offset)

    def memory(adam: dict[str, AdamState]) -> dict[str, AdamState]:
        return {name: replace(of, m=put(of.m), v=put(of.v)) for name, of in adam.items()}

    return replace(
        state,
        parameters=Parameters(*map(put, state.parameters)),
        training_adam=memory(state.training_adam),
        flossing_adam=memory(state.flossing_adam),
        frame=put(state.frame),
    )
