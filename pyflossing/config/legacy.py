"""The original's 33 parameters, in order, and where each lives in the typed configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from pyflossing._support.arguments import FieldError, require_choice, require_float32, require_integer
from pyflossing.config.schedule import FlossingSchedule
from pyflossing.config.sections import Adam, Flossing, Seeds, Trials
from pyflossing.model.tasks import DelayedCopy, DelayedXOR, task_from_number
from pyflossing.model.weights import WeightDistribution


class LegacyParameter(NamedTuple):
    """One of the 33.

    Attributes:
        name: in the original.
        field: in ``TrainingConfig``, with dots for a setting within a section.
        kind: int or float.
        unit: its unit.
        meaning: what it is.
    """

    name: str
    field: str
    kind: type
    unit: str
    meaning: str


LEGACY_PARAMETERS = (
    LegacyParameter("N", "n_units", int, "", "units"),
    LegacyParameter("E", "n_epochs", int, "epochs", "training epochs"),
    LegacyParameter("Ef", "flossing.schedule.period", int, "epochs", "period of the inter-episodes"),
    LegacyParameter("Ei", "flossing.schedule.episode", int, "epochs", "flossing epochs of an inter-episode"),
    LegacyParameter("Ep", "flossing.schedule.before", int, "epochs", "flossing epochs before training"),
    LegacyParameter("Ni", "flossing.schedule.n_episodes", int, "", "number of inter-episodes at most"),
    LegacyParameter("B", "trials.batch_size", int, "trials", "batch"),
    LegacyParameter("S", "", int, "", "input channels; must be 1"),
    LegacyParameter("T", "trials.n_steps", int, "steps", "length of a training trial"),
    LegacyParameter("Tp", "flossing.n_steps", int, "steps", "steps of the flossing spectrum"),
    LegacyParameter("Ti", "flossing.trial_steps", int, "steps", "length of a flossing trial"),
    LegacyParameter("sIC", "seeds.initial_state", int, "", "seed of the initial state"),
    LegacyParameter("sIn", "seeds.inputs", int, "", "seed of the inputs"),
    LegacyParameter("sNet", "seeds.network", int, "", "seed of the weights"),
    LegacyParameter("sONS", "seeds.frame", int, "", "seed of the orthonormal frame"),
    LegacyParameter("lr", "optimiser.learning_rate", float, "", "learning rate of Adam"),
    LegacyParameter("b1", "optimiser.beta1", float, "", "decay of Adam's first moment"),
    LegacyParameter("b2", "optimiser.beta2", float, "", "decay of Adam's second moment"),
    LegacyParameter("IC", "weights.coupling", int, "", "recurrent weights: 1 Gaussian, 3 orthogonal"),
    LegacyParameter("g", "weights.gain", float, "", "gain of the recurrent weights"),
    LegacyParameter("gbar", "weights.mean_coupling", float, "", "mean of the recurrent weights, times N"),
    LegacyParameter("I1", "trials.amplitude", float, "", "input amplitude"),
    LegacyParameter("delay", "task.delay", int, "steps", "delay of the task"),
    LegacyParameter("wsS", "weights.input_spread", float, "", "spread of the input weights"),
    LegacyParameter("wsM", "weights.input_mean", float, "", "mean of the input weights"),
    LegacyParameter("wrS", "weights.readout_spread", float, "", "spread of the readout weights"),
    LegacyParameter("wrM", "weights.readout_mean", float, "", "mean of the readout weights"),
    LegacyParameter("bS", "weights.bias_spread", float, "", "spread of the bias"),
    LegacyParameter("bM", "weights.bias_mean", float, "", "lower end of the bias"),
    LegacyParameter("nLE", "flossing.n_exponents", int, "", "exponents to floss; 0 for none"),
    LegacyParameter(
        "task",
        "task",
        int,
        "",
        "0 copy; h or -h the XOR of 2^h inputs, scored from step 2 `delay` (h) or 2^h `delay` (-h)",
    ),
    LegacyParameter("intype", "intype", int, "", "accepted and unused, as in the original"),
    LegacyParameter("Lwnt", "flossing.target", float, "1/step", "target of the exponents"),
)
_NAMES = tuple(parameter.name for parameter in LEGACY_PARAMETERS)
_LEGACY_NAME = {parameter.field: parameter.name for parameter in LEGACY_PARAMETERS if parameter.field}
_WITHOUT_LEGACY_NAME: dict[str, tuple[float | None, str]] = {
    "optimiser.clip_norm": (Adam.clip_norm, "the legacy form knows 0.03 only"),
    "flossing.clip_norm": (Flossing.clip_norm, "the legacy form does not clip flossing"),
    "flossing.n_trials": (Flossing.n_trials, "the legacy form flosses one trial"),
    "flossing.learning_rate": (Flossing.learning_rate, "the legacy form has one learning rate, lr"),
    "trials.offset": (Trials.offset, "the legacy form's inputs are 0 and I1"),
}
_COUPLINGS: dict[int, Literal["gaussian", "orthogonal"]] = {1: "gaussian", 3: "orthogonal"}


def typed_number(name: str, word: str) -> int | float:
    """The number that somebody has typed for a parameter.

    Raises:
        ValueError: it is none.
    """
    for kind in (int, float):
        try:
            return kind(word if word.isascii() else "")
        except ValueError:
            continue
    raise FieldError(name, word, "it must be a number")


def arguments_of(values: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``TrainingConfig``, but for network and dtype; see :meth:`TrainingConfig.from_legacy`."""
    p = _numbers(_bind(values, named))
    require_choice("IC", p["IC"], tuple(_COUPLINGS))
    if p["S"] != 1:
        raise FieldError("S", p["S"], "the original's target has one channel, so it must be 1")
    return {
        "n_units": p["N"],
        "weights": WeightDistribution(
            coupling=_COUPLINGS[p["IC"]],
            gain=p["g"],
            mean_coupling=p["gbar"],
            input_spread=p["wsS"],
            input_mean=p["wsM"],
            readout_spread=p["wrS"],
            readout_mean=p["wrM"],
            bias_spread=p["bS"],
            bias_mean=p["bM"],
        ),
        "task": task_from_number(p["task"], p["delay"]),
        "trials": Trials(p["B"], p["T"], p["I1"]),
        "flossing": Flossing(
            p["nLE"], p["Lwnt"], p["Tp"], p["Ti"], FlossingSchedule(p["Ep"], p["Ei"], p["Ef"], p["Ni"])
        ),
        "optimiser": Adam(p["lr"], p["b1"], p["b2"]),
        "seeds": Seeds(p["sIC"], p["sIn"], p["sNet"], p["sONS"]),
        "n_epochs": p["E"],
        "intype": p["intype"],
    }


@contextmanager
def legacy_names() -> Iterator[None]:
    """Refusals of settings, by their names in the original where they are among the 33."""
    try:
        yield
    except FieldError as error:
        raise FieldError(_LEGACY_NAME.get(error.field, error.field), error.value, error.allowed) from None


def without_legacy_form(settings: object) -> Iterator[FieldError]:
    """A refusal of each setting, of what has the fields of ``LEGACY_PARAMETERS``, that the 33 values cannot express."""
    schedule = _at(settings, "flossing.schedule")
    if not isinstance(schedule, FlossingSchedule):
        yield FieldError("flossing.schedule", schedule, "only a FlossingSchedule has a legacy form")
    for field, (value, reason) in _WITHOUT_LEGACY_NAME.items():
        if _at(settings, field) != value:
            yield FieldError(field, _at(settings, field), reason)


def values_of(settings: object) -> tuple[int | float, ...]:
    """The 33 values of what has the fields of ``LEGACY_PARAMETERS``; see :meth:`TrainingConfig.to_legacy`."""
    refused = next(without_legacy_form(settings), None)
    if refused is not None:
        raise refused
    coupling, task = _at(settings, "weights.coupling"), _at(settings, "task")
    special = {"S": 1, "IC": 1 if coupling == "gaussian" else 3, "task": _task_number(task)}
    return tuple(special[p.name] if p.name in special else _at(settings, p.field) for p in LEGACY_PARAMETERS)


def _bind(values: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """The values by name, as Python itself would bind them."""
    if len(values) > len(_NAMES):
        raise TypeError(f"the legacy call has {len(_NAMES)} parameters, not {len(values)}")
    bound = dict(zip(_NAMES, values, strict=False))
    for name, value in named.items():
        if name not in _NAMES:
            raise TypeError(f"{name!r} is not one of the legacy parameters {', '.join(_NAMES)}")
        if name in bound:
            raise TypeError(f"{name} is given twice")
        bound[name] = value
    missing = [name for name in _NAMES if name not in bound]
    if missing:
        raise TypeError(f"missing legacy parameters: {', '.join(missing)}")
    return bound


def _numbers(bound: Mapping[str, Any]) -> dict[str, Any]:
    """Python numbers of the right kind; ranges are the configuration's business."""
    convert = {int: require_integer, float: require_float32}
    return {p.name: convert[p.kind](p.name, bound[p.name]) for p in LEGACY_PARAMETERS}


def _at(settings: object, path: str) -> Any:
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _task_number(task: DelayedXOR | DelayedCopy) -> int:
    if not isinstance(task, DelayedXOR):
        return 0
    return task.levels if task.scoring == "early" else -task.levels
