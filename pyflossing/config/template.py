"""The default settings as TOML with comments: what each is, its name among the original's 33, what is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyflossing._support.arguments import Limit
from pyflossing._support.toml import table_lines, toml_value
from pyflossing.config.legacy import LEGACY_PARAMETERS
from pyflossing.config.schedule import AdaptiveSchedule
from pyflossing.config.settings import TrainingConfig
from pyflossing.config.tables import to_table
from pyflossing.model.networks import BinaryNetwork, SpikingNetwork, TanhNetwork
from pyflossing.model.surrogates import SURROGATE_NAMES
from pyflossing.model.tasks import DelayedCopy

_HEAD = """\
# Settings of a run; these are the defaults, and what is left out, the kind of a section too, is as it stands here.
# Names in brackets are those of the 33 positional parameters of the original.
# Where a run computes, on the CPU or on a GPU, is not set here: pyflossing train --device."""

_NUMBER = "a finite number"
_FLOAT32 = Limit(float).words
_SHAPES = ", ".join(f'"{name}"' for name in SURROGATE_NAMES)
SETTINGS: dict[str, tuple[str, str]] = {
    "dtype": ("type of all numbers", '"float32" or "float64"'),
    "network.kind": ("the network", '"tanh", "binary" or "spiking"'),
    "network.synaptic_decay": ("alpha, decay of the synaptic current per step", "a number in [0, 1)"),
    "network.membrane_decay": ("beta, decay of the membrane per step", "a number in [0, 1)"),
    "network.membrane_gain": ("c, weight of the synaptic current in the membrane", _NUMBER),
    "network.threshold": ("of the membrane", _NUMBER),
    "network.jacobian_surrogate.name": ("derivative of the spikes in the Jacobian", _SHAPES),
    "network.jacobian_surrogate.sharpness": ("the larger, the narrower", "a number > 0"),
    "network.spike_surrogate.name": ("derivative of the spikes in the backward pass", _SHAPES),
    "network.spike_surrogate.sharpness": ("the larger, the narrower", "a number > 0"),
    "network.jacobian_reset": (
        "what the Jacobian has of the reset: nothing, as published, or its factor 1 - o",
        '"none" or "factor"',
    ),
    "weights.coupling": ("recurrent weights; IC = 1 Gaussian, IC = 3 orthogonal", '"gaussian" or "orthogonal"'),
    "weights.gain": ("", _FLOAT32),
    "weights.mean_coupling": ("", _FLOAT32 + "; ignored for orthogonal weights"),
    "weights.input_spread": ("", _FLOAT32),
    "weights.input_mean": ("", _FLOAT32),
    "weights.readout_spread": ("", _FLOAT32),
    "weights.readout_mean": ("", _FLOAT32),
    "weights.bias_spread": ("", _FLOAT32),
    "weights.bias_mean": ("", _FLOAT32),
    "task.kind": ("the task; task = 0 copies, task = h or -h is an XOR", '"delayed_xor" or "delayed_copy"'),
    "task.delay": ("", "an integer >= 1; >= 0 for a copy"),
    "task.levels": ("h, the XOR of 2^h inputs (task)", "an integer from 1 to 62"),
    "task.scoring": ("first step that counts: delay 2^h (task < 0) or 2 delay (task > 0)", '"full" or "early"'),
    "trials.n_steps": ("", "an integer beyond the task's first scored step, which is delay 2^h"),
    "trials.offset": ("added to the inputs, bits times the amplitude", _FLOAT32),
    "optimiser.clip_norm": ("norm to which each array's training gradient is clipped", "a number > 0, or inf for none"),
    "seeds.inputs": ("", "any 64-bit integer but 0"),
    "flossing.n_exponents": ("", "an integer from 0 to the size of the state, or N without synaptic decay"),
    "flossing.n_steps": ("", "an integer >= 13: of n steps the first 10 + ceil(n / 10) do not count"),
    "flossing.trial_steps": ("", "an integer >= flossing.n_steps"),
    "flossing.clip_norm": ("norm to which each array's flossing gradient is clipped", "a number > 0, or inf for none"),
    "flossing.n_trials": ("trials over which a flossing epoch's gradients are averaged", "an integer >= 1"),
    "flossing.learning_rate": ("of flossing's Adam; left out, it is the optimiser's", _FLOAT32),
    "flossing.schedule.kind": ("when to floss", '"periodic" or "adaptive"'),
}
"""What a setting is and what is allowed, where neither the 33 nor the settings' own limits say it."""

ALTERNATIVES: dict[str, tuple[Any, ...]] = {
    "network": (TanhNetwork(), BinaryNetwork(), SpikingNetwork.published()),
    "task": (DelayedCopy(10),),
    "flossing.schedule": (AdaptiveSchedule(1e-6, episode=100, n_episodes=5),),
}
"""Other values of the sections that have a kind; they stand in the template as comments. Those of another kind than the
default's show that kind's own defaults, where there are any."""


UNSET: dict[str, dict[str, float | str]] = {
    "flossing": {"learning_rate": TrainingConfig().optimiser.learning_rate},
    "network": {"jacobian_reset": "none"},
}
"""Settings that the defaults leave out, each with a value that changes nothing; comments in the template, too."""


def template() -> str:
    """The text; ``TrainingConfig.from_toml`` of it is the default configuration."""
    config = TrainingConfig()
    return "\n".join([_HEAD, *_table(config, config.to_dict(), "")]) + "\n"


def _table(section: Any, settings: Mapping[str, Any], path: str) -> Iterator[str]:
    yield ""
    if path:
        yield f"[{path}]"
    for name, value in settings.items():
        if not isinstance(value, Mapping):
            yield f"# {_comment(section, name, path)}"
            yield f"{name} = {toml_value(value)}"
    for name, value in UNSET.get(path, {}).items():
        yield f"# {_comment(section, name, path)}"
        yield f"# {name} = {toml_value(value)}"
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _table(getattr(section, name), value, f"{path}.{name}" if path else name)
    for alternative in ALTERNATIVES.get(path, ()):
        yield ""
        same_kind = ", where what is left out is as above" if type(alternative) is type(section) else ""
        yield f"# in place of [{path}] and what is within it{same_kind}:"
        table = {"kind": alternative.kind, **to_table(alternative, path)}
        yield from (f"# {line}".rstrip() for line in table_lines(table, path)[1:])


def _comment(section: Any, name: str, path: str) -> str:
    place = f"{path}.{name}" if path else name
    words, allowed = SETTINGS.get(place, ("", ""))
    for parameter in LEGACY_PARAMETERS:
        if parameter.field == place:
            unit = f", {parameter.unit}" if parameter.unit and parameter.unit not in parameter.meaning else ""
            words = words or parameter.meaning + unit
            words += f" [{parameter.name}]"
    return f"{words}: {allowed or section.LIMITS[name].words}"
