"""Fixtures that several test folders share: one Julia per session, obtained as the report obtains it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, settings

from parity.bridge.executable import ExecutableConnection
from parity.obtain import JuliaInstallation, describe, search
from parity.sources import MODULE_NAME, module_file

# A shell starts background jobs with Ctrl-C ignored, and children inherit that; a handler they do not.
signal.signal(signal.SIGINT, signal.default_int_handler)

torch.set_warn_always(True)  # not once per process: a warning would then fail only whichever test comes first

_COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
settings.register_profile("quick", max_examples=40, **_COMMON)
settings.register_profile("thorough", max_examples=2000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def julia_installation() -> JuliaInstallation:
    """A Julia that runs as an executable; a machine that cannot get one fails, because nothing would be compared."""
    attempts = search(want="executable")
    found = attempts[-1].found
    assert found is not None, describe(attempts)
    return found


@pytest.fixture(scope="session")
def julia(julia_installation: JuliaInstallation) -> Iterator[ExecutableConnection]:
    """A live connection to the reference."""
    installation = julia_installation
    connection = ExecutableConnection(installation.executable, installation.environment, module_file(), MODULE_NAME)
    with connection:
        yield connection
