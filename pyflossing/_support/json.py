"""JSON documents: written in standard JSON, which has no word for numbers that are not finite, and read with care."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn


def standard_json(document: Mapping[str, Any]) -> str:
    """The document, indented; numbers that are not finite become null."""
    return json.dumps(_finite(document), indent=1, allow_nan=False)


def parsed(text: str, *, infinity: bool = False) -> Any:
    """The document.

    Args:
        text: the whole of it.
        infinity: whether "Infinity" is a number, as it is in what Python writes.

    Raises:
        ValueError: it is not standard JSON, too deep, or names something twice.
    """
    try:
        return json.loads(text, parse_constant=_infinite if infinity else _refused, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("this JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("this JSON has a name twice")
    return found


def _infinite(constant: str) -> float:
    return _refused(constant) if constant == "NaN" else float(constant)


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not allowed in this JSON")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
