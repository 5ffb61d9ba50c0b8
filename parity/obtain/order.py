"""Looking for Julia in one place after the other."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from parity.obtain import debian, local, probe, pythoncall
from parity.obtain.model import Attempt, Say, to_stderr

Want = Literal["any", "juliacall", "executable"]


def search(
    explicit: str | os.PathLike[str] | None = None,
    *,
    want: Want = "any",
    download: bool = True,
    stop_at_first: bool = True,
    say: Say = to_stderr,
    probe_timeout: float = probe.DEFAULT_TIMEOUT,
    juliapkg_timeout: float = pythoncall.DEFAULT_TIMEOUT,
) -> list[Attempt]:
    """Look for Julia and tell, for each place, what was seen there.

    The places are: the explicit path (the argument, else the environment variable
    PYFLOSSING_JULIA), juliacall, PATH, and Debian's archive; where only an executable is wanted, juliacall's
    Julia, which is one, comes last, and for juliacall the other places are left out.
    A Julia that was named (an explicit path, the settings of juliacall) and does not serve ends the search:
    what somebody asked for by name is never silently replaced. With ``stop_at_first`` the search ends at
    the first Julia found. Nothing is downloaded unless ``download`` is true.
    """
    wish, named_by = _wish(explicit)
    if wish is not None and want == "juliacall":
        detail = f"{named_by} names an executable alone, and juliacall also needs a Julia project"
        remedy = f"leave out {named_by} and {pythoncall.SET_BOTH}"
        return [Attempt(local.EXPLICIT, None, detail, remedy, named=True)]

    attempts: list[Attempt] = []
    if wish is not None:
        attempts.append(local.explicit_path(wish, named_by, timeout=probe_timeout))
        if stop_at_first or attempts[0].found is None:
            return attempts
    juliacall = partial(
        pythoncall.through_juliacall,
        download=download,
        say=say,
        timeout=juliapkg_timeout,
        probe_timeout=probe_timeout,
    )
    others = [
        partial(local.on_path, timeout=probe_timeout),
        partial(debian.obtain, download=download, say=say, timeout=probe_timeout),
    ]
    places: dict[Want, list[Callable[[], Attempt]]] = {
        "any": [juliacall, *others],
        "juliacall": [juliacall],
        "executable": [*others, partial(_as_executable, juliacall)],
    }
    for place in places[want]:
        attempts.append(place())
        unserved_wish = attempts[-1].named and attempts[-1].found is None
        if unserved_wish or (stop_at_first and attempts[-1].found is not None):
            break
    return attempts


def _as_executable(look: Callable[[], Attempt]) -> Attempt:
    """A Julia for juliacall is an executable as well, and where one is wanted, nothing of juliacall's was named."""
    attempt = look()
    return replace(attempt, found=attempt.found and replace(attempt.found, project=None), named=False)


def _wish(explicit: str | os.PathLike[str] | None) -> tuple[Path | None, str]:
    if explicit is not None:
        return Path(explicit), "the explicit path"
    from_environment = os.environ.get(local.VARIABLE)
    return (Path(from_environment), local.VARIABLE) if from_environment else (None, "")
