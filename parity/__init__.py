"""Comparison with live Julia: of the port, of anybody's settings, and of anybody's own code.

``julia`` opens a Julia for files of one's own; ``check_call``, ``Check``, ``run_checks`` and ``Report`` make a report
of comparisons with them; ``identical`` and ``within`` judge one pair of arrays. ``compare_run`` compares a whole run of
gradient flossing. ``parity.arrays`` has strategies for hypothesis. The other modules may change; these names are kept.
"""

from typing import TYPE_CHECKING

from pyflossing._support.lazy import lazily

if TYPE_CHECKING:
    from parity.bridge.errors import JuliaConnectionError, JuliaCrashed, JuliaError, JuliaTimeout
    from parity.checks.comparators import Verdict, identical, within
    from parity.checks.model import Check, Level, Provenance, SkipCheck
    from parity.connect import NoJulia
    from parity.own.calls import check_call
    from parity.own.reports import run_checks
    from parity.own.session import Julia, julia
    from parity.report import Report
    from parity.runs.compare import RunReport, compare_run
else:
    # loaded at first use: a worker of juliacall imports this package before Julia is loaded, and numpy after it
    __getattr__, __dir__ = lazily(
        __name__,
        **{
            "bridge.errors": ("JuliaConnectionError", "JuliaCrashed", "JuliaError", "JuliaTimeout"),
            "checks.comparators": ("Verdict", "identical", "within"),
            "checks.model": ("Check", "Level", "Provenance", "SkipCheck"),
            "connect": ("NoJulia",),
            "own.calls": ("check_call",),
            "own.reports": ("run_checks",),
            "own.session": ("Julia", "julia"),
            "report": ("Report",),
            "runs.compare": ("RunReport", "compare_run"),
        },
    )

__all__ = [
    "Check",
    "Julia",
    "JuliaConnectionError",
    "JuliaCrashed",
    "JuliaError",
    "JuliaTimeout",
    "Level",
    "NoJulia",
    "Provenance",
    "Report",
    "RunReport",
    "SkipCheck",
    "Verdict",
    "check_call",
    "compare_run",
    "identical",
    "julia",
    "run_checks",
    "within",
]
