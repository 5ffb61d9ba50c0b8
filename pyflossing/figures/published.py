"""The published curves, read off the vector graphics of the two figures of the SurrogateGradientFlossing README."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from pyflossing._support.arguments import require_choice

FloatArray = npt.NDArray[np.float64]


@cache
def _data() -> dict[str, Any]:
    text = files("pyflossing.figures").joinpath("published.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)["figures"]
    return found


PUBLISHED_FIGURES = (
    "binary_flossing_lambda1",
    "binary_flossing_spectrum",
    "binary_training_accuracy",
    "binary_final_accuracy_vs_delay",
    "binary_gradient_norm_vs_epoch",
    "binary_gradient_norm_vs_delay",
)
"""Figures 1A, 1B, 2A, 2B, 2C, 2D."""


def published(figure: str) -> dict[str, Any]:
    """A published panel: "what" it shows, and its curves, lists "x" and "y" under the names of its conditions.

    Raises:
        ValueError: no such panel.
    """
    return dict(_data()[require_choice("figure", figure, PUBLISHED_FIGURES)])


def at(curve: dict[str, Any], x: npt.ArrayLike) -> FloatArray:
    """A published curve at any x, linear in between: the graphics left out points that lie on a straight line."""
    return np.asarray(np.interp(np.asarray(x, dtype=np.float64), curve["x"], curve["y"]))
