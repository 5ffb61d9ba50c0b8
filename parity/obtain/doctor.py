"""Explaining a search for Julia to a person."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent

from parity.obtain.model import Attempt, JuliaInstallation, dotted


def describe(attempts: Sequence[Attempt]) -> str:
    """Tell, for each place, what was found or why nothing was, then which Julia would be used."""
    if not attempts:
        return "No place was searched for Julia.\n"
    paragraphs = [_paragraph(attempt) for attempt in attempts]
    used = next((attempt.found for attempt in attempts if attempt.found is not None), None)
    if used is None:
        paragraphs.append("No Julia can be used.\n")
    else:
        paragraphs.append(f"Julia {dotted(used.version)} from {used.origin} would be used.\n")
    return "\n".join(paragraphs)


def _paragraph(attempt: Attempt) -> str:
    if attempt.found is not None:
        return f"{attempt.origin}: found\n" + indent(_facts(attempt.found), "  ")
    lines = f"{attempt.origin}: not found\n" + indent(attempt.detail.rstrip() + "\n", "  ")
    return lines + (f"  What you can do: {attempt.remedy}.\n" if attempt.remedy else "")


def _facts(found: JuliaInstallation) -> str:
    lines = [f"version:    {dotted(found.version)}", f"executable: {found.executable}"]
    if found.project is not None:
        lines.append(f"project:    {found.project}")
    lines += [f"with {name}={value}" for name, value in sorted(found.environment.items())]
    return "\n".join(lines) + "\n"
