"""A Julia for the tests of anybody's project: the fixture ``julia`` and the marker of that name.

    @pytest.mark.julia("my.jl")
    def test_rates(julia):
        assert parity.identical(my_port.rates(x), julia.call("rates", x))

Nothing happens until a test asks for the fixture. The session's tests share one Julia; after a crash or a time-out the
next test gets a new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from parity.own.session import Julia

_FIXTURE = "julia"
_SETTINGS = {
    "julia_include": ("Julia files for all tests, as FILE or FILE:MODULE, from the folder of the settings", "linelist"),
    "julia_project": ("a Julia project whose packages the files use", "string"),
    "julia_timeout": ("seconds for each call of Julia", "string"),
    "julia_required": ("fail instead of skipping where there is no Julia", "bool"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Settings of the fixture, in pytest's own file of settings."""
    for name, (help_text, kind) in _SETTINGS.items():
        parser.addini(name, help_text, type=kind, default=None)  # type: ignore[arg-type]


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "julia(file, module=None): include a Julia file, found beside the test, for the fixture julia"
    )


@pytest.fixture(scope="session")
def julia(request: pytest.FixtureRequest) -> Iterator[Julia]:
    """A Julia for one's own files: ``julia.include(file)``, ``julia.call(name, *arrays)``; see ``parity.julia``."""
    from parity.connect import NoJulia  # noqa: PLC0415 - nothing is loaded until a test needs it
    from parity.own.session import julia as opened  # noqa: PLC0415

    config = request.config
    project, timeout = (config.getini(name) or None for name in ("julia_project", "julia_timeout"))
    try:
        jl = opened(project=config.rootpath / project if project else None, timeout=float(timeout) if timeout else None)
    except NoJulia as error:
        if config.getini("julia_required"):
            pytest.fail(f"there is no Julia: {error}", pytrace=False)
        pytest.skip(f"there is no Julia: {error}")
    with jl:
        for words in config.getini("julia_include") or ():
            jl.include_named(words, config.rootpath)
        yield jl


@pytest.hookimpl(trylast=True)  # when the fixtures are there
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give the test a Julia that lives, and include the files that its markers name."""
    jl: Any = getattr(item, "funcargs", {}).get(_FIXTURE)
    if not hasattr(jl, "revive"):  # no such fixture, or one of the project's own
        return
    jl.revive()
    for marker in item.iter_markers(_FIXTURE):
        for file in marker.args:
            jl.include(Path(item.path).parent / file, **marker.kwargs)
