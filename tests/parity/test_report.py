"""Claims about running checks and reporting them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from parity.checks import all_checks
from parity.checks.model import Check, Level, Provenance, SkipCheck
from parity.report import Report, as_json, as_markdown, as_text, write
from parity.runner import run_checks, select


def check(name, ours, theirs, **rest):
    return Check(name, "a quantity", Provenance.OUR_JULIA, ours, theirs, needs_julia=False, **rest)


def skipping(_julia):
    raise SkipCheck("for a reason")


def failing(_julia):
    raise OSError("disk on fire")


CHECKS = [
    check("good/one", lambda: {"a": 1.0, "b": np.arange(3)}, lambda _: {"a": 1.0, "b": np.arange(3)}),
    check("bad/value", lambda: {"a": np.array([1.0, 2.0])}, lambda _: {"a": np.array([1.0, 3.0])}),
    check("bad/name", lambda: {"a": 1.0}, lambda _: {"b": 1.0}),
    check("bad/raises", lambda: {"a": 1.0}, failing),
    check("bad/empty", dict, lambda _: {}),
    check("skipped/one", lambda: {"a": 1.0}, skipping),
]


def report_of(*names):
    return Report(run_checks(select(CHECKS, names), None), {"who": "a test"})


def test_every_comparison_failure_and_skip_is_counted():
    counts = report_of().counts
    assert counts == {"comparisons": 6, "passed": 2, "failed": 4, "checks skipped": 1}


def test_exit_code_is_zero_only_if_something_passed_and_nothing_failed():
    assert report_of("good").exit_code == 0
    assert report_of("good", "skipped").exit_code == 0
    assert report_of("skipped").exit_code == 1
    for name in ("bad/value", "bad/name", "bad/raises", "bad/empty"):
        assert report_of("good", name).exit_code == 1


def test_failures_show_index_values_and_messages():
    text = as_text(report_of(), width=400)
    assert "1 of 2 differ, first at [1] (Julia [2]): ours 2.0 (0x1.0000000000000p+1), theirs 3.0" in text
    assert "OSError: disk on fire" in text
    assert "skipped (1 checks): for a reason" in text
    assert "6 comparisons (3 at level exact): 2 passed, 4 failed; 1 checks skipped" in text


def test_a_check_that_needs_julia_is_skipped_with_the_reason_where_there_is_none():
    needs = Check("live", "x", Provenance.OUR_JULIA, lambda: {"a": 1}, lambda _: {"a": 1}, level=Level.EXACT)
    (outcome,) = run_checks([needs], None, no_julia="nobody home")
    assert (outcome.status, outcome.skipped) == ("skipped", "nobody home")


def test_written_report_can_be_read_by_programs_and_is_replaced_whole(tmp_path):
    folder = tmp_path / "new" / "folder"
    write(report_of(), folder)
    write(report_of("good"), folder)
    document = json.loads((folder / "report.json").read_text())
    assert document["counts"]["passed"] == 2
    assert document["checks"][0]["comparisons"][0]["detail"] == "bit for bit"
    assert document == json.loads(as_json(report_of("good"))) | {"checks": document["checks"]}
    assert (folder / "report.md").read_text() == as_markdown(report_of("good"))
    assert sorted(path.name for path in folder.iterdir()) == ["report.json", "report.md"]


def test_check_names_are_unique_and_patterns_select():
    names = [known.name for known in all_checks()]
    assert len(names) == len(set(names))
    assert {known.name for known in select(all_checks(), ["weights/*/J_*"])} == {
        "weights/golden/J_gaussian",
        "weights/golden/J_orthogonal",
        "weights/live/J_orthogonal",
    }
    with pytest.raises(ValueError, match="nonsense"):
        select(all_checks(), ["nonsense"])
