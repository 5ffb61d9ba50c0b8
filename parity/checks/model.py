"""What a check is: one quantity, two implementations, one comparator, a level and a provenance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from parity.bridge.connection import JuliaConnection
from parity.checks.comparators import Comparator, identical

Array = npt.NDArray[Any]
Arrays = Mapping[str, Any]
"""Named arrays or scalars; each name is one comparison. Ours may judge itself: see ``comparators``."""


class Level(str, Enum):
    """How closely two results must agree (specification, section 12)."""

    EXACT = "exact"
    STEP = "step"
    TRAJECTORY = "trajectory"
    TRAINING = "training"


class Provenance(str, Enum):
    """Whose numbers ours are compared with."""

    AUTHORS_JULIA = "authors' Julia"
    AUTHORS_PYTHON = "authors' Python"
    OUR_JULIA = "our Julia"
    JULIA_STDLIB = "Julia's Random"
    YOURS = "yours"


class SkipCheck(Exception):
    """Raised by ``theirs`` where there is nothing to compare with; the message is the reason."""


@dataclass(frozen=True)
class Check:
    """A row of the report.

    Attributes:
        name: path-like and unique, such as "streams/golden/randn_f32".
        quantity: what is compared, for a reader who knows only the paper.
        against: whose numbers are the other side.
        ours: computes pyflossing's side; gets the connection too if ``follows_julia``.
        theirs: the other side; gets the connection to Julia (None unless ``needs_julia``).
        level: how closely they must agree.
        compare: judges one pair of arrays.
        needs_julia: whether ``theirs`` calls Julia.
        follows_julia: whether ``ours`` starts from numbers that Julia gave.
    """

    name: str
    quantity: str
    against: Provenance
    ours: Callable[..., Arrays]
    theirs: Callable[[JuliaConnection], Arrays]
    level: Level = Level.EXACT
    compare: Comparator = identical
    needs_julia: bool = True
    follows_julia: bool = False


def recorded(arrays: Callable[[], Arrays]) -> Callable[[JuliaConnection | None], Arrays]:
    """Adapt numbers that need no Julia to the signature of ``theirs``."""
    return lambda _connection: arrays()


def as_array(value: Any) -> Array:
    """A scalar as an array of no dimensions."""
    return np.asarray(value)
