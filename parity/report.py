"""The report: a table for people, JSON for programs, Markdown for pages."""

from __future__ import annotations

import json
import os
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parity.checks import bounds
from parity.checks.comparators import Measure
from parity.checks.model import Check, Level
from parity.runner import Outcome
from pyflossing._support.files import write_atomically

_COLUMNS = ("check", "level", "against", "comparisons", "result")
_MAX_FAILURES_SHOWN = 3


@dataclass(frozen=True)
class Report:
    """Everything that one run saw.

    Attributes:
        outcomes: one per check.
        provenance: what was compared: versions, machine, where Julia came from.
        notices: what a reader must not miss, such as that no live Julia was used.
    """

    outcomes: Sequence[Outcome]
    provenance: Mapping[str, str]
    notices: Sequence[str] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Comparisons made, passed, failed (a check that could not be judged is one failed), and checks skipped."""
        passed = sum(len(outcome.verdicts) - len(outcome.failures) for outcome in self.outcomes)
        failed = sum(len(outcome.failures) + bool(outcome.error) for outcome in self.outcomes)
        skipped = sum(bool(outcome.skipped) for outcome in self.outcomes)
        return {"comparisons": passed + failed, "passed": passed, "failed": failed, "checks skipped": skipped}

    @property
    def exit_code(self) -> int:
        """0 if something was compared and nothing failed, else 1."""
        return 0 if self.counts["passed"] and not self.counts["failed"] else 1

    def __str__(self) -> str:
        return as_text(self)

    def write(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write report.json and report.md; see ``write``."""
        return write(self, folder)

    def summary(self) -> str:
        """One line of counts by level, the rule of the bounds, and the reasons for what was skipped."""
        counts = self.counts
        levels = Counter(o.check.level for o in self.outcomes for _ in o.verdicts)
        by_level = ", ".join(f"{levels[level]} at level {level.value}" for level in Level if levels[level])
        lines = [
            f"{counts['comparisons']} comparisons ({by_level or 'none'}): {counts['passed']} passed, "
            f"{counts['failed']} failed; {counts['checks skipped']} checks skipped"
        ]
        lines += self._of_bounds()
        reasons = Counter(outcome.skipped for outcome in self.outcomes if outcome.skipped)
        lines += [f"  skipped ({number} checks): {reason}" for reason, number in reasons.items()]
        return "\n".join(lines)

    @property
    def measured(self) -> dict[str, Measure]:
        """What was found where the bound was measured, by check and comparison."""
        return {
            f"{outcome.check.name}, {name}": verdict.measure
            for outcome in self.outcomes
            for name, verdict in outcome.verdicts.items()
            if verdict.measure is not None and verdict.measure.rms_theirs is not None
        }

    @property
    def nearest(self) -> tuple[str, float] | None:
        """The measured comparison with the largest ratio of difference and bound, and that ratio."""
        ratios = {name: measure.ratio for name, measure in self.measured.items()}
        return max(ratios.items(), key=lambda each: (np.isnan(each[1]), each[1]), default=None)

    @property
    def false_alarms(self) -> float:
        """The chance that any of the measured bounds fails without a reason, see ``bounds``."""
        return len(self.measured) * bounds.FALSE_ALARM

    def _of_bounds(self) -> list[str]:
        if self.nearest is None:
            return []
        name, ratio = self.nearest
        return [
            f"  {len(self.measured)} of the bounds are measured: {bounds.RULE}; the chance of a false alarm in this "
            f"report is {self.false_alarms:.0e}",
            f"  nearest to its bound: {ratio:.2f} of it ({name})",
        ]


def _result(outcome: Outcome) -> str:
    if outcome.skipped:
        return f"skipped: {outcome.skipped}"
    if outcome.error:
        return f"FAILED: {outcome.short_error}"
    if outcome.failures:
        shown = [f"{name}: {verdict.detail}" for name, verdict in outcome.failures.items()]
        more = len(shown) - _MAX_FAILURES_SHOWN
        return "FAILED: " + "; ".join(shown[:_MAX_FAILURES_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    worst = min(outcome.verdicts.values(), key=lambda verdict: verdict.digits)
    over = _extent([verdict.extent for verdict in outcome.verdicts.values() if verdict.extent])
    if np.isinf(worst.digits):
        return f"bit for bit{over}"
    return f"{worst.digits:.1f} digits{over}: {worst.detail}"


def _extent(extents: Sequence[str]) -> str:
    """How much of the series was compared: the parts where there are any, else that it was all."""
    parts = [extent for extent in dict.fromkeys(extents) if not extent.startswith("all ")]
    chosen = parts or list(dict.fromkeys(extents))
    # "2 of 12 epochs (divergence horizon)" and "9 of 12 epochs (divergence horizon)" are one range
    ranges: dict[str, list[int]] = {}
    for extent in chosen:
        number, _, rest = extent.partition(" ")
        if number.isdigit():
            ranges.setdefault(rest, []).append(int(number))
        else:
            ranges.setdefault(extent, [])
    told = [
        f"{min(numbers)} to {max(numbers)} {rest}" if len(numbers) > 1 else " ".join([*map(str, numbers), rest])
        for rest, numbers in ranges.items()
    ]
    return f" over {', '.join(told)}" if told else ""


def _row(outcome: Outcome) -> tuple[str, str, str, str, str]:
    check = outcome.check
    return check.name, check.level.value, check.against.value, str(len(outcome.verdicts)), _result(outcome)


def as_text(report: Report, width: int = 110) -> str:
    """The table for a terminal; long results continue on lines of their own."""
    table = Table([outcome.check for outcome in report.outcomes], width)
    rows = [table.row(outcome) for outcome in report.outcomes]
    return "\n".join([table.opening(report.provenance, report.notices), *rows, table.closing(report)])


class Table:
    """The parts of the text for a terminal, in the order in which they become known."""

    def __init__(self, checks: Sequence[Check], width: int = 110) -> None:
        cells = [(check.name, check.level.value, check.against.value) for check in checks]
        self._width = width
        self._widths = [max(len(title), *(len(row[i]) for row in cells), 0) for i, title in enumerate(_COLUMNS[:3])]
        self._widths.append(len(_COLUMNS[3]))

    def opening(self, provenance: Mapping[str, str], notices: Sequence[str]) -> str:
        """The notices, what was compared, and the titles of the columns."""
        rule = "-" * min(self._width, sum(self._widths) + 2 * len(self._widths) + 12)
        facts = [f"{name}: {value}" for name, value in provenance.items()]
        boxes = [box(notice, self._width) for notice in notices]
        return "\n".join([*boxes, *facts, "", _line(_COLUMNS, self._widths), rule])

    def row(self, outcome: Outcome) -> str:
        """One check; a long result continues below."""
        row = _row(outcome)
        line = _line(row, self._widths)
        if len(line) <= self._width:
            return line
        short = _line((*row[:-1], row[-1].split(":")[0] if ":" in row[-1] else ""), self._widths)
        indent = "    "
        return "\n".join([short, *textwrap.wrap(row[-1], self._width, initial_indent=indent, subsequent_indent=indent)])

    def closing(self, report: Report) -> str:
        """The counts, and the notices once more."""
        return "\n".join(["", report.summary(), *(box(notice, self._width) for notice in report.notices)])


def box(text: str, width: int = 110) -> str:
    """A notice that cannot be missed."""
    lines = [line for part in text.splitlines() for line in textwrap.wrap(part, width - 4)]
    inner = max(map(len, lines))
    edge = "*" * (inner + 4)
    return "\n".join([edge, *(f"* {line.ljust(inner)} *" for line in lines), edge])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    *fixed, last = cells
    padded = [
        cell.rjust(width) if cell.isdigit() else cell.ljust(width) for cell, width in zip(fixed, widths, strict=True)
    ]
    return "  ".join([*padded, last]).rstrip()


def as_markdown(report: Report) -> str:
    """The same as a Markdown page, with what each check compares."""
    lines = ["# Parity report", "", f"**{report.summary().splitlines()[0]}**", ""]
    lines += [f"- {line.strip()}" for line in report.summary().splitlines()[1:]]
    lines += [f"> **{notice}**\n" for notice in report.notices]
    lines += [f"- {name}: {value}" for name, value in report.provenance.items()]
    lines += ["", "| check | what | level | against | comparisons | result |", "|---|---|---|---|---:|---|"]
    for outcome in report.outcomes:
        name, *rest = (cell.replace("|", "\\|") for cell in _row(outcome))
        quantity = outcome.check.quantity.replace("|", "\\|")
        lines.append(f"| {name} | {quantity} | {' | '.join(rest)} |")
    return "\n".join(lines) + "\n"


def as_json(report: Report) -> str:
    """Everything, for programs; the key "schema" changes when the layout does."""
    checks: list[dict[str, Any]] = []
    for outcome in report.outcomes:
        check = outcome.check
        checks.append(
            {
                "name": check.name,
                "quantity": check.quantity,
                "level": check.level.value,
                "against": check.against.value,
                "status": outcome.status,
                "skipped": outcome.skipped,
                "error": outcome.error,
                "seconds": round(outcome.seconds, 4),
                "comparisons": [
                    {
                        "name": name,
                        "passed": verdict.passed,
                        "digits": None if np.isinf(verdict.digits) else round(verdict.digits, 2),
                        "detail": verdict.detail,
                        "extent": verdict.extent,
                        **_measured(verdict.measure),
                    }
                    for name, verdict in outcome.verdicts.items()
                ],
            }
        )
    document = {
        "schema": 1,
        "counts": report.counts,
        "exit_code": report.exit_code,
        "provenance": dict(report.provenance),
        "notices": list(report.notices),
        "measured_bounds": _of_bounds(report),
        "checks": checks,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _of_bounds(report: Report) -> dict[str, Any] | None:
    if report.nearest is None:
        return None
    name, ratio = report.nearest
    return {
        "rule": bounds.RULE,
        "number": len(report.measured),
        "false_alarms": report.false_alarms,
        "nearest": {"comparison": name, "ratio": _number(ratio)},
    }


def _measured(measure: Measure | None) -> dict[str, float | None]:
    """What was admitted and found of a comparison that is not exact; JSON has no infinities and no NaN."""
    if measure is None:
        return {}
    numbers = {
        "difference": measure.difference,
        "bound": measure.bound,
        "ratio": measure.ratio,
        "rms_ours": measure.rms_ours,
        "rms_theirs": measure.rms_theirs,
    }
    return {name: _number(value) for name, value in numbers.items()}


def _number(value: float | None) -> float | None:
    return float(f"{value:.4g}") if value is not None and np.isfinite(value) else None


def write(report: Report, folder: str | os.PathLike[str]) -> list[Path]:
    """Write report.json and report.md into ``folder``, made if it is missing; each appears complete or not at all.

    Raises:
        OSError: the folder cannot be made or written.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in (("report.json", as_json(report)), ("report.md", as_markdown(report))):
        write_atomically(target / name, text.encode())
        written.append(target / name)
    return written
