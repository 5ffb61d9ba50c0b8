"""Looking for Julia in one place after the other."""

from __future__ import annotations

import os
from collections.abc import Callable
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
    PYFLOSSING_JULIA), juliacall, PATH, and Debian's archive. ``want`` leaves out those that do not
    suit the connection. An explicit path that does not serve ends the search: what somebody asked
    for by name is never silently replaced. With ``stop_at_first`` the search ends at the first
    Julia found. Nothing is downloaded unless ``download`` is true.
    """
    wish, named_by = _wish(explicit)
    if wish is not None and want == "juliacall":
        detail = f"{named_by} names an executable alone, and juliacall also needs a Julia project"
        remedy = f"leave out {named_by} and {pythoncall.SET_BOTH}"
        return [Attempt(local.EXPLICIT, None, detail, remedy)]

    attempts: list[Attempt] = []
    if wish is not None:
        attempts.append(local.explicit_path(wish, named_by, timeout=probe_timeout))
        if stop_at_first or attempts[0].found is None:
            return attempts
    places: list[Callable[[], Attempt]] = []
    if want != "executable":
        ask = pythoncall.through_juliacall
        places.append(partial(ask, download=download, say=say, timeout=juliapkg_timeout, probe_timeout=probe_timeout))
    if want != "juliacall":
        places.append(partial(local.on_path, timeout=probe_timeout))
        places.append(partial(debian.obtain, download=download, say=say, timeout=probe_timeout))
    for place in places:
        attempts.append(place())
        if stop_at_first and attempts[-1].found is not None:
            break
    return attempts


def _wish(explicit: str | os.PathLike[str] | None) -> tuple[Path | None, str]:
    if explicit is not None:
        return Path(explicit), "the explicit path"
    from_environment = os.environ.get(local.VARIABLE)
    return (Path(from_environment), local.VARIABLE) if from_environment else (None, "")
