"""What was compared: versions, machine, sources, date."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Mapping

import numpy as np

import pyflossing
from parity.sources import reference_folder, sources_hash


def provenance(facts: Mapping[str, str]) -> dict[str, str]:
    """The facts of our side, those of the reference, and those given."""
    return of_python() | {"Julia sources": sources_hash(reference_folder())[:16]} | dict(facts)


def of_python() -> dict[str, str]:
    """The facts of our side."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "pyflossing": pyflossing.__version__,
        "Python": f"{platform.python_version()}, numpy {np.__version__}, {platform.machine()}",
    }
