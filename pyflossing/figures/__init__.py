"""The published figures drawn again, ours over the published curves, with their distances; and one of our own.

``FIGURES[name](folder)`` computes what the folder does not hold yet, and writes NAME.png and NAME.json into it.
Pictures need matplotlib (extra ``plot``).
"""

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from pyflossing.figures.published import PUBLISHED_FIGURES, published

FIGURES: dict[str, Callable[..., Path]] = {}
_MODULES: dict[str, str] = {}


def _figure(name: str, module: str) -> None:
    def make(folder: str | Path, **options: Any) -> Path:
        made: Path = import_module(f"pyflossing.figures.{module}").make(Path(folder), **options)
        return made

    FIGURES[name], _MODULES[name] = make, module


def options_of(name: str) -> set[str]:
    """The options that a figure takes besides the folder."""
    make = import_module(f"pyflossing.figures.{_MODULES[name]}").make
    return set(inspect.signature(make).parameters) - {"folder"}


_figure("binary-flossing", "binary_flossing")
_figure("binary-training", "binary_training")
_figure("spiking-training", "spiking_training")

__all__ = ["FIGURES", "PUBLISHED_FIGURES", "options_of", "published"]
