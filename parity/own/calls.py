"""Checks of one's own function against a Julia function of the same arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from parity.bridge.connection import JuliaConnection
from parity.bridge.errors import JuliaError
from parity.checks import bounds
from parity.checks.comparators import Comparator, Estimate, identical
from parity.checks.model import Array, Arrays, Check, Level, Provenance

Compare = Comparator | str
NUDGED = "nudged"
"""Stands for bounds that are measured by nudged copies."""
_FLOAT64_RELATIVE, _FLOAT64_CAUSE = 1e-9, "1e-09 of the largest entry"


def check_call(
    name: str,
    ours: Callable[..., Any],
    function: str,
    *arguments: Any,
    compare: Compare = identical,
    quantity: str = "",
    level: Level | None = None,
    timeout: float | None = None,
) -> Check:
    """A check that calls a Python function and a Julia function with the same arguments.

    Args:
        name: of the row in the report, like a path.
        ours: the Python function. It gives an array or a number; or a tuple or a dictionary of them, where Julia
            gives a Tuple or a NamedTuple.
        function: the Julia function's name.
        arguments: for both: numbers, strings and arrays.
        compare: ``identical`` (bit for bit), ``within(bound, cause)``, or "nudged": Float32 results may differ by
            what rounding costs either function, measured on 16 copies of the arguments that are nudged by up to two
            roundings (10 times the root mean square; both functions must take Float64 as well); Float64 results by
            1e-9 of the largest entry.
        quantity: what is compared, for the report; None says which functions.
        level: EXACT for ``identical``, else STEP, if it is not given.
        timeout: seconds for each call of Julia.

    Raises:
        ValueError: ``compare`` is neither a comparator nor "nudged".
    """
    if not callable(compare) and compare != NUDGED:
        raise ValueError(f'compare = {compare!r} is not allowed: it must be identical, within(...) or "nudged"')

    def theirs(julia: JuliaConnection) -> Arrays:
        return named(julia.call(function, *arguments, timeout=timeout))

    measured = compare == NUDGED
    return Check(
        name,
        quantity or f"{getattr(ours, '__name__', 'ours')}, Julia's {function}",
        Provenance.YOURS,
        (lambda julia: _measured(ours, function, arguments, julia, timeout))
        if measured
        else lambda: _of(ours, arguments),
        theirs,
        level=level or (Level.EXACT if compare is identical else Level.STEP),
        compare=identical if isinstance(compare, str) else compare,
        follows_julia=measured,
    )


def named(value: Any) -> dict[str, Any]:
    """A result of either side by name: "result", "value 1", ..., or the keys of a dictionary or named tuple."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): _array(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return {f"value {i}": _array(one) for i, one in enumerate(value, 1)}
    return {"result": _array(value)}


def _array(value: Any) -> Array:
    if isinstance(value, str):
        return np.frombuffer(value.encode(), np.uint8)
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def _of(ours: Callable[..., Any], arguments: tuple[Any, ...]) -> dict[str, Array]:
    return named(ours(*(value.copy() if isinstance(value, np.ndarray) else value for value in arguments)))


def _measured(
    ours: Callable[..., Any],
    function: str,
    arguments: tuple[Any, ...],
    julia: JuliaConnection,
    timeout: float | None,
) -> dict[str, Any]:
    """Our results with their bounds."""

    def call_julia(*values: Any) -> dict[str, Array]:
        try:
            return named(julia.call(function, *values, timeout=timeout))
        except JuliaError as error:
            raise ValueError(
                f"bounds are measured with nudged Float32 and with Float64 arguments, and Julia's {function} "
                f"does not take them: {error}"
            ) from None

    values = _of(ours, arguments)
    floats = {name for name, array in values.items() if array.dtype == np.float32}
    rms: dict[str, tuple[Array, Array]] = {}
    if floats:
        copies = list(_copies(arguments))
        sides = [
            [_deviations(compute, single, double) for single, double in copies]
            for compute in (lambda *given: _of(ours, given), call_julia)
        ]
        for name in floats:
            of_ours, of_theirs = (bounds.rms(np.array([one[name] for one in side])) for side in sides)
            rms[name] = of_ours, of_theirs
    return {name: _estimate(array, rms.get(name)) for name, array in values.items()}


def _estimate(values: Array, rms: tuple[Array, Array] | None) -> Array | Estimate:
    if rms is not None:
        return bounds.estimate(values, theirs=rms[1], ours=rms[0])
    if values.dtype == np.float64:
        largest = float(np.abs(values).max(initial=0.0))
        return Estimate(values, np.asarray(_FLOAT64_RELATIVE * largest), _FLOAT64_CAUSE)
    return values


def _copies(arguments: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Nudged arguments, in Float32 and the same in Float64."""
    rng = np.random.default_rng(0)
    nudged = {
        place: bounds.nudged(np.asarray(value), rng).reshape(bounds.N_COPIES, *np.shape(value))
        for place, value in enumerate(arguments)
        if isinstance(value, np.ndarray | np.generic) and value.dtype == np.float32
    }
    for copy in range(bounds.N_COPIES):
        single, double = (
            tuple(nudged[i][copy].astype(kind)[()] if i in nudged else value for i, value in enumerate(arguments))
            for kind in (np.float32, np.float64)
        )
        yield single, double


def _deviations(
    compute: Callable[..., dict[str, Array]], single: tuple[Any, ...], double: tuple[Any, ...]
) -> dict[str, float]:
    """The largest deviation of each result of Float32 from that of Float64."""
    rounded, exact = compute(*single), compute(*double)
    found = {}
    for name, values in rounded.items():
        if values.shape != exact[name].shape:
            raise ValueError(f"{name} has another shape in Float64: {exact[name].shape} instead of {values.shape}")
        distance = np.abs(values.astype(np.float64) - exact[name].astype(np.float64))
        found[name] = float(distance.max(initial=0.0))
    return found
