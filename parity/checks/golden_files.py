"""The golden files (parity/data/golden, described in its README.md), by key."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from parity.checks.model import Array

ORIGINAL_NAMES = {"ws": "ws", "J": "J", "wr": "wr", "b": "b", "offset": "offset", "x0": "xInit"}
"""Our names of the parameters, and the original's."""


@lru_cache(maxsize=8)
def archive(name: str) -> dict[str, Array]:
    """All arrays of one golden file; not to be changed."""
    with (files("parity") / "data" / "golden" / name).open("rb") as stream, np.load(stream) as content:
        return {key: content[key] for key in content.files}


@lru_cache(maxsize=1)
def runs() -> dict[str, dict[str, Any]]:
    """The 33 parameters of each recorded training run."""
    found = {key.split("/")[0]: values for key, values in archive("initial.npz").items() if key.endswith("/params")}
    return {run: json.loads(str(values)) for run, values in found.items()}


def has(key: str) -> bool:
    """Whether a number "RUN/NAME", or "RUN/NAME#1", was recorded."""
    name = key.partition("#")[0]
    return name in archive("training.npz") or name in archive("initial.npz")


def load(key: str) -> Array:
    """A recorded array "RUN/NAME"; one that is not stored was still the initial one (see the README)."""
    if has(key):
        return archive("training.npz").get(key, archive("initial.npz").get(key))  # type: ignore[return-value]
    run, _, name = key.partition("/")
    if name.startswith(("flossparam_", "trainparam_")):
        return load(f"{run}/init_{name.partition('_')[2]}")
    raise KeyError(key)


def number(key: str) -> Array:
    """As ``load``, with "RUN/NAME#1" for the first entry along time, and "spiking:EXAMPLE/NAME"."""
    if key.startswith("spiking:"):
        return _spiking(key.partition(":")[2])
    name, _, place = key.partition("#")
    return load(name)[..., int(place) - 1] if place else load(name)


def _spiking(key: str) -> Array:
    example, _, name = key.partition("/")
    stored = archive("spiking.npz")
    if name == "spikes":  # of the states before every step: from rest and from each state but the last
        return (stored[f"{example}/mem"].T[:, None, :] > 1).astype(np.uint8)
    return stored[key]


def first_scored_step(p: dict[str, Any]) -> int:
    """f of a run's parameters."""
    delay, task = int(p["delay"]), int(p["task"])
    return 2 * delay if task > 0 else delay << abs(task)
