"""Claims about running checks and reporting them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from parity.checks import all_checks
from parity.checks.comparators import Estimate
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


def measured(difference, flaw=""):
    ours = Estimate(np.zeros(3), np.asarray(2.0), "a cause", np.asarray(0.1), np.asarray(0.17), flaw)
    return check("measured", lambda: {"a": ours}, lambda _: {"a": np.array([0.0, difference, 0.5])})


def test_every_comparison_that_is_not_exact_has_its_bound_ratio_and_rms_in_the_json():
    document = json.loads(as_json(Report(run_checks([measured(1.0), *CHECKS[:1]], None), {})))
    found, exact = (one["comparisons"][0] for one in document["checks"])
    assert (found["difference"], found["bound"], found["ratio"]) == (1.0, 2.0, 0.5)
    assert (found["rms_ours"], found["rms_theirs"]) == (0.1, 0.17)
    assert "ratio" not in exact
    assert document["measured_bounds"]["number"] == 1
    assert document["measured_bounds"]["nearest"] == {"comparison": "measured, a", "ratio": 0.5}


def test_the_summary_states_the_rule_the_chance_of_a_false_alarm_and_the_worst_ratio():
    said = Report(run_checks([measured(1.0)], None), {}).summary()
    assert "1 of the bounds are measured: 10 x the RMS, over 16 nudged copies" in said
    assert "the chance of a false alarm in this report is 3e-08" in said
    assert "nearest to its bound: 0.50 of it (measured, a)" in said
    assert "bound" not in Report(run_checks(CHECKS[:1], None), {}).summary()


@pytest.mark.parametrize(("difference", "ratio"), [(3.0, 1.5), (np.nan, None), (np.inf, None)])
def test_a_difference_beyond_its_bound_is_the_worst_and_fails(difference, ratio):
    report = Report(run_checks([measured(difference)], None), {})
    assert report.exit_code == 1
    assert json.loads(as_json(report))["checks"][0]["comparisons"][0]["ratio"] == ratio


def test_a_flaw_of_ours_fails_whatever_theirs_is():
    (outcome,) = run_checks([measured(0.0, "ours is imprecise")], None)
    assert "ours is imprecise; largest difference" in outcome.failures["a"].detail


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
