"""Figure 1: flossing a binary network. A, the first exponent over flossing epochs; B, spectra before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pyflossing._support.threads import suitable_threads
from pyflossing.config.schedule import FlossingSchedule
from pyflossing.config.sections import Adam, Flossing, Seeds, Trials
from pyflossing.config.settings import TrainingConfig
from pyflossing.figures.provenance import Arrays, kept, seconds, write_report
from pyflossing.figures.published import FloatArray, at, published
from pyflossing.model.networks import BinaryNetwork
from pyflossing.model.surrogates import Surrogate
from pyflossing.model.tasks import DelayedXOR
from pyflossing.plots._style import BLACK, BLUE, GREEN, GREY, VERMILION
from pyflossing.training.loop import run
from pyflossing.training.records import FlossingRecord
from pyflossing.training.result import versions
from pyflossing.training.state import initial_state
from pyflossing.training.trial_spectra import trial_spectra

NAME = "binary-flossing"
SEEDS = tuple(range(1, 10))


@dataclass(frozen=True)
class Settings:
    """What figure 1 needs. In print: N = 80, the sharpnesses, k = 1, 16, 32, nine seeds and 150 epochs.

    Args:
        n_units: N.
        n_steps: of the spectra.
        n_trials: of every flossing epoch; exponents are means over them.
        input_level: inputs are this or minus this.
        delay: of the XOR whose inputs drive the network; it hardly matters.
        backward_sharpness: of the surrogate in the backward pass of the states, whatever that in the Jacobian.
        learning_rate, beta1: of flossing's Adam.
        clip_norm: of every array's flossing gradient.
        n_epochs: of flossing.
        n_shown: exponents of panel B.
    """

    n_units: int = 80
    n_steps: int = 100
    n_trials: int = 8
    input_level: float = 0.89
    delay: int = 10
    backward_sharpness: float = 2.0
    learning_rate: float = 0.0014
    beta1: float = 0.95
    clip_norm: float = 0.001
    n_epochs: int = 150
    n_shown: int = 52

    def config(self, sharpness: float, k: int, seed: int) -> TrainingConfig:
        """One realization: network, initial state and frame from ``seed``, inputs from 1."""
        # one flossing epoch more than asked for: a record shows what its update started from
        schedule = FlossingSchedule.before_training(self.n_epochs + 1)
        return TrainingConfig(
            network=BinaryNetwork(Surrogate("sech2", sharpness), Surrogate("sech2", self.backward_sharpness)),
            n_units=self.n_units,
            task=DelayedXOR(self.delay),
            trials=Trials(self.n_trials, 2 * self.delay + 1, amplitude=2 * self.input_level, offset=-self.input_level),
            flossing=Flossing(k, 0.0, self.n_steps, self.n_steps, schedule, self.clip_norm, self.n_trials),
            optimiser=Adam(self.learning_rate, self.beta1),
            seeds=Seeds(initial_state=seed, inputs=1, network=seed, frame=seed),
            n_epochs=1,
        )


INFERRED = {
    "n_steps": "length of the spectra's trials: 100, told by the scatter of neighbouring published exponents",
    "n_trials": "8: with less noisy gradients 32 exponents come as near to zero as the published ones",
    "input_level": "inputs are 0.89 or -0.89: with the task's 0 and 1 a 33rd exponent is drawn along to -0.2 in eight "
    "realizations; in the published spectra it is near -0.06 or below -0.4, as it is with inputs whose mean is zero",
    "delay": "the inputs are bits; a delay only drops the first ones",
    "seeds": "initial state and frame from the realization's number, inputs from 1: not in print",
    "backward_sharpness": "2: in the backward pass of the signs; with the Jacobian's 0.5 there the 32nd exponent stays "
    "below -0.07, whatever else was tried",
    "learning_rate": "0.0014; the README's is 0.001",
    "beta1": "0.95; the README's is 0.9",
    "clip_norm": "0.001, of each array's gradient: the published code does not clip flossing, but without it the first "
    "exponent does not come to zero at sharpness 1",
}
PANELS = ((0.5, 1), (1.0, 1), (0.5, 16), (0.5, 32))
"""Sharpness and k of the four runs of every seed."""


def floss(settings: Settings, config: TrainingConfig) -> Arrays:
    """Floss one network: "first" exponent (E + 1,), and the spectra "before" and "after" (n_shown,), 1/step."""
    first: list[float] = []
    ends: list[FlossingRecord] = []
    with suitable_threads(config.n_units):
        for record in run(config, initial_state(config)):
            if not isinstance(record, FlossingRecord):
                break
            first.append(float(record.exponents[0]))
            if record.flossing_epoch in (1, settings.n_epochs + 1):
                ends.append(record)
        before, after = (_spectrum(config, record, settings.n_shown) for record in (ends[0], ends[-1]))
    return {"first": np.array(first), "before": before, "after": after}


def _spectrum(config: TrainingConfig, record: FlossingRecord, k: int) -> FloatArray:
    """More exponents than are flossed, on the trials and with the frame of a flossing epoch."""
    steps, trials = config.flossing.n_steps, config.flossing.n_trials
    seed = config.input_seed(record.epoch + record.flossing_epoch)
    return trial_spectra(config, record.parameters, k, steps, trials, seed).exponents.double().mean(dim=0).numpy()


def compute(
    folder: Path, settings: Settings, seeds: Sequence[int], progress: Callable[[str], None] = lambda _: None
) -> tuple[dict[tuple[float, int], Arrays], list[Path]]:
    """All runs, those that the folder holds already read from it: arrays (seeds, ...) by sharpness and k."""
    found: dict[tuple[float, int], Arrays] = {}
    files = []
    for sharpness, k in PANELS:
        runs = []
        for seed in seeds:
            config = settings.config(sharpness, k, seed)
            file = folder / f"sharpness_{sharpness}_k{k}_seed{seed}.json"
            progress(f"{NAME}: sharpness {sharpness}, k = {k}, seed {seed}")
            job = {"figure": asdict(settings), "run": config.to_dict()}
            runs.append(kept(file, job, lambda config=config: floss(settings, config)))  # type: ignore[misc]
            files.append(file)
        found[sharpness, k] = {name: np.array([arrays[name] for arrays in runs]) for name in runs[0]}
    return found, files


def knee(spectrum: FloatArray) -> int:
    """After how many exponents the spectrum drops most."""
    return int(np.argmin(np.diff(spectrum))) + 1


def distances(ours: dict[tuple[float, int], Arrays]) -> dict[str, dict[str, float]]:
    """Distances (1/step) of our means over realizations from the published ones, panel by panel."""
    found: dict[str, dict[str, float]] = {}
    curves, spectra = published("binary_flossing_lambda1"), published("binary_flossing_spectrum")
    for sharpness in (0.5, 1.0):
        first = ours[sharpness, 1]["first"].mean(axis=0)
        theirs = at(curves[f"sharpness_{sharpness}"]["mean"], np.arange(len(first)))
        away = np.abs(first - theirs)
        found[f"1A sharpness {sharpness}"] = {
            "largest over epochs 0 to 10": float(away[:11].max()),
            "mean over all epochs": float(away.mean()),
        }
    before = ours[0.5, 1]["before"].mean(axis=0)
    index = np.arange(1, len(before) + 1)
    away = np.abs(before - at(spectra["before"]["mean"], index))
    found["1B before"] = {"mean": float(away.mean()), "largest": float(away.max())}
    for k in (1, 16, 32):
        after, theirs = ours[0.5, k]["after"].mean(axis=0), at(spectra[f"k{k}"]["mean"], index)
        found[f"1B k = {k}"] = {
            "mean": float(np.abs(after - theirs).mean()),
            "largest of the flossed exponents from zero": float(np.abs(after[:k]).max()),
            "the same, published": float(np.abs(theirs[:k]).max()),
            "knee": knee(after),
            "knee, published": knee(theirs),
        }
    return found


def draw(ours: dict[tuple[float, int], Arrays]) -> Figure:
    """Our means (lines) and realizations (pale) over the published means (dashed black)."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    a, b = figure.subplots(1, 2)
    curves, spectra = published("binary_flossing_lambda1"), published("binary_flossing_spectrum")
    for sharpness, color in ((0.5, BLUE), (1.0, VERMILION)):
        _lines(a, np.arange(ours[sharpness, 1]["first"].shape[1]), ours[sharpness, 1]["first"], color, f"{sharpness}")
        _published(a, curves[f"sharpness_{sharpness}"]["mean"])
    a.legend(title="sharpness", frameon=False, loc="lower right")
    a.set(xlabel="flossing epoch", ylabel="first Lyapunov exponent (1/step)", title="A")
    runs: list[tuple[str, FloatArray, str, str]] = [("before", ours[0.5, 1]["before"], GREY, "before flossing")]
    runs += [(f"k{k}", ours[0.5, k]["after"], c, f"k = {k}") for k, c in ((1, BLUE), (16, GREEN), (32, VERMILION))]
    for name, values, color, label in runs:
        _lines(b, np.arange(1, values.shape[1] + 1), values, color, label)
        _published(b, spectra[name]["mean"])
    b.plot([], [], "--", color=BLACK, lw=1, label="published")
    b.legend(frameon=False)
    b.set(xlabel="index of exponent", ylabel="Lyapunov exponent (1/step)", title="B")
    for ax in (a, b):
        ax.axhline(0, color=GREY, ls=":", lw=0.8)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def _lines(ax: Axes, x: Any, values: FloatArray, color: str, label: str) -> None:
    ax.plot(x, values.T, color=color, alpha=0.18, lw=0.6)
    ax.plot(x, values.mean(axis=0), color=color, lw=2, label=label)


def _published(ax: Axes, curve: dict[str, Any]) -> None:
    ax.plot(curve["x"], curve["y"], "--", color=BLACK, lw=1, zorder=5)


def make(
    folder: Path,
    *,
    settings: Settings | None = None,
    seeds: Sequence[int] = SEEDS,
    progress: Callable[[str], None] = lambda _: None,
) -> Path:
    """Compute, draw, and write binary-flossing.png and binary-flossing.json into the folder; runs go to a folder in it.

    Args:
        folder: made if there is none.
        settings: of the runs.
        seeds: of the realizations; the published ones are 1 to 9.
        progress: called with a line before every run.

    Returns:
        the picture's path.

    Raises:
        ValueError: a run's file is damaged.
    """
    settings = settings or Settings()
    ours, files = compute(folder / f"{NAME}-runs", settings, seeds, progress)
    picture = folder / f"{NAME}.png"
    draw(ours).savefig(picture, dpi=110)
    report = {
        "figure": "1A and 1B, binary network",
        "settings": asdict(settings),
        "inferred": INFERRED,
        "seeds": list(seeds),
        "distances (1/step)": distances(ours),
        "seconds": seconds(files),
        "versions": versions(),
    }
    write_report(folder / f"{NAME}.json", report)
    return picture
