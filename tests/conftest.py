"""Fixtures that several test folders share: one Julia per session, and an environment without the user's settings."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import warm
from hypothesis import HealthCheck, settings
from kernel_paths import using
from stand_in_gpu import StandIn, stand_in

from parity.bridge.errors import NotRecorded
from parity.bridge.executable import ExecutableConnection
from parity.bridge.juliacall import JuliacallConnection
from parity.bridge.process import ProcessConnection
from parity.bridge.recorded import RecordedConnection
from parity.obtain import JuliaInstallation, describe, search
from parity.sources import MODULE_NAME, module_file, reference_folder, sources_hash, transcript_file

# A shell starts background jobs with Ctrl-C ignored, and children inherit that; a handler they do not.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # the same under nohup
    signal.signal(signal.SIGHUP, lambda *_: None)

# More threads pay for no matrix of a test, and cost up to ten times as much where other tests run beside.
torch.set_num_threads(1)
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # of the processes that tests start
torch.set_warn_always(True)  # not once per process: a warning would then fail only whichever test comes first

_COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
settings.register_profile("quick", max_examples=20, **_COMMON)
settings.register_profile("ci", settings.get_profile("quick"), derandomize=True, database=None)
settings.register_profile("thorough", max_examples=2000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

#: Set to 1 where a missing Julia is a failure; elsewhere the tests that need one are skipped, with a count.
DEMAND_VARIABLE = "PYFLOSSING_TESTS_NEED_JULIA"
NO_JULIA = "NO LIVE JULIA"
NO_JULIACALL = "NO JULIA FOR JULIACALL"
NO_GPU = "NO GPU"
_USERS = ("PYTHON_JULIACALL_", "PYTHON_JULIAPKG_", "PYFLOSSING_", "JULIA_")
_PASSES = "PYFLOSSING_KERNEL"
"""Set to "torch" or "compiled" to run all tests that way."""
_AS_STARTED = dict(os.environ)


def pytest_configure(config: pytest.Config) -> None:
    """Workers share one server of fast starts."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        warm.share()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than the machine has cores: many tests wait for other processes."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


_COSTLY = ("julia", "jl", "real_fetches", "installed")
"""Fixtures that take many seconds in every process; Julia compiles each function once per process."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that share a costly fixture stay in one process."""
    for item in items if config.pluginmanager.hasplugin("xdist") else []:
        for name in _COSTLY:
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(scope="session", autouse=True)
def hermetic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the user's settings, or a Julia that lies in the machine's temporary folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_USERS) and name != _PASSES]:
            patch.delenv(name)
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)
        yield


def _with_users_settings(look: Callable[[], JuliaInstallation | str]) -> JuliaInstallation | str:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TMPDIR")
        patch.setattr(tempfile, "tempdir", None)
        for name, value in _AS_STARTED.items():
            if name.startswith(_USERS) or name == "TMPDIR":
                patch.setenv(name, value)
        return look()


def _skip_or_fail(why: str) -> None:
    if _AS_STARTED.get(DEMAND_VARIABLE) == "1":
        pytest.fail(f"{DEMAND_VARIABLE}=1 demands a live Julia. {why}", pytrace=False)
    pytest.skip(f"{NO_JULIA}: {why}")


@pytest.fixture(scope="session")
def skip_or_fail() -> Callable[[str], None]:
    """Skips a test that lacks a live Julia, for a reason; or fails it where live ones are demanded."""
    return _skip_or_fail


@pytest.fixture(scope="session")
def _executable(tmp_path_factory: pytest.TempPathFactory) -> JuliaInstallation | str:
    def look() -> JuliaInstallation | str:
        attempts = search(want="executable")
        return attempts[-1].found or describe(attempts)

    found = _with_users_settings(look)
    if isinstance(found, str):
        return found
    # Tests compile much and compute little: with fewer optimisations Julia takes two thirds of the time.
    return _with_option(found, "-O1", tmp_path_factory.mktemp("less optimised"))


def _with_option(found: JuliaInstallation, option: str, folder: Path) -> JuliaInstallation:
    if os.name == "nt":  # runs no such scripts
        return found
    program = folder / "julia"
    program.write_text(f'#!/bin/sh\nexec "{found.executable}" {option} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return replace(found, executable=program)


@pytest.fixture(scope="session")
def julia_installation(_executable: JuliaInstallation | str) -> JuliaInstallation:
    """A Julia that runs as an executable, obtained as the report obtains it."""
    if isinstance(_executable, str):
        _skip_or_fail(_executable)
    assert isinstance(_executable, JuliaInstallation)
    return _executable


@pytest.fixture(scope="session")
def julia(
    _executable: JuliaInstallation | str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProcessConnection | RecordedConnection]:
    """A live connection to the reference; without one the transcripts answer, and what they lack skips the test."""
    if isinstance(_executable, str):
        if _AS_STARTED.get(DEMAND_VARIABLE) == "1":
            _skip_or_fail(_executable)
        yield _Transcripts(transcript_file(), sources_hash(reference_folder()))
        return
    # it compiles a fifth faster when it need not name functions in backtraces
    program = _with_option(_executable, "-g0", tmp_path_factory.mktemp("no backtraces")).executable
    with ExecutableConnection(program, _executable.environment, module_file(), MODULE_NAME) as connection:
        yield connection


class _Transcripts(RecordedConnection):
    """What is not recorded skips the test, which then counts as one without a live Julia."""

    def call(self, name, *args, timeout=None):  # type: ignore[no-untyped-def]
        try:
            return super().call(name, *args, timeout=timeout)
        except NotRecorded as error:
            _skip_or_fail(str(error))


@pytest.fixture(scope="session", params=["executable", "juliacall"])
def open_julia(request: pytest.FixtureRequest) -> Callable[..., ProcessConnection]:
    """Opens a connection of either kind to the functions of a module in a file."""
    if request.param == "executable":
        found = request.getfixturevalue("julia_installation")
        return lambda file, name: ExecutableConnection(found.executable, found.environment, file, name)
    if not (_AS_STARTED.get("PYTHON_JULIACALL_EXE") and _AS_STARTED.get("PYTHON_JULIACALL_PROJECT")):
        pytest.skip(f"{NO_JULIACALL}: PYTHON_JULIACALL_EXE and PYTHON_JULIACALL_PROJECT are not both set")

    def look() -> JuliaInstallation | str:
        attempts = search(want="juliacall")
        return attempts[-1].found or describe(attempts)

    installation = _with_users_settings(look)
    assert isinstance(installation, JuliaInstallation), installation
    return lambda file, name: JuliacallConnection(installation.executable, installation.project, file, name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One loud line for each kind of Julia that was missing, and for a GPU; or on which GPU tests ran."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", []) if report.longrepr]
    missing = {
        NO_JULIA: "needed one and were skipped; what the recorded transcripts answer was run. "
        "`python -m parity doctor` says how to get one",
        NO_JULIACALL: "that go through juliacall were skipped; they run where PYTHON_JULIACALL_EXE and "
        "PYTHON_JULIACALL_PROJECT are set",
        NO_GPU: "that compare a GPU with the CPU were skipped; they run where torch sees a GPU",
    }
    for mark, rest in missing.items():
        number = sum(mark in reason for reason in reasons)
        if mark == NO_GPU and torch.cuda.is_available():
            terminalreporter.write_line(f"GPU: {torch.cuda.get_device_name()}")
        if number:
            terminalreporter.write_line(f"{mark}: {number} tests {rest}.", bold=True, yellow=True)


@pytest.fixture
def gpu() -> Iterator[StandIn]:
    """A stand-in for a GPU, on which the passes in torch run."""
    with using("torch"), stand_in() as mode:
        yield mode
