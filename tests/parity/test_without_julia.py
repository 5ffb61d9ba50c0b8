"""The tests themselves on a machine without Julia: skipped with a count, answered by transcripts, or demanded."""

import os
import subprocess
from pathlib import Path

import pytest
from warm import python

ROOT = Path(__file__).resolve().parents[2]
LIVE = "tests/parity/test_bridge_executable.py::test_tuples_keep_their_length"
RANDOM = "tests/parity/test_side_by_side.py::test_xoroshiro_draws_equal_julia"
RECORDED = "tests/parity/test_mutations.py::test_report_fails_on[one strip of the ziggurat]"


@pytest.fixture
def tests_without_julia(tmp_path):
    """Runs some tests where there is no julia, no apt and no network for juliapkg."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "juliapkg.py").write_text("raise OSError('no network')\n")

    def run(*tests, **environment):
        path = os.pathsep.join([str(tmp_path / "packages"), os.environ.get("PYTHONPATH", "")])
        settings = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path), "PYTHONPATH": path, "XDG_CACHE_HOME": ""}
        return subprocess.run(
            [*python(), "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *tests],
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")} | settings | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_live_tests_are_skipped_with_one_loud_counted_line_and_transcripts_answer_the_rest(tests_without_julia):
    result = tests_without_julia(LIVE, RANDOM, RECORDED)
    assert result.returncode == 0, result.stdout
    assert "NO LIVE JULIA: 2 tests needed one and were skipped" in result.stdout
    assert "NO JULIA FOR JULIACALL: 1 tests" in result.stdout
    assert result.stdout.count("NO LIVE JULIA") == 1
    assert ".sss" in result.stdout.replace("\n", "") or "sss." in result.stdout.replace("\n", "")


@pytest.mark.parametrize("test", [LIVE, RECORDED])
def test_ci_demands_live_tests(tests_without_julia, test):
    result = tests_without_julia(test, PYFLOSSING_TESTS_NEED_JULIA="1")
    assert result.returncode == 1
    assert "PYFLOSSING_TESTS_NEED_JULIA=1 demands a live Julia" in result.stdout
    assert "no julia on PATH" in result.stdout


def test_ci_sets_the_variable():
    script = ROOT / ".ci" / "run"
    if not script.exists():
        pytest.skip("not a checkout")
    assert "PYFLOSSING_TESTS_NEED_JULIA=1 make test" in script.read_text()


def test_tests_see_none_of_the_users_settings(tests_without_julia):
    """With nonsense in each variable they pass all the same."""
    nonsense = {"PYTHON_JULIACALL_EXE": "nonsense", "JULIA_BINDIR": "/usr/bin", "JULIA_LOAD_PATH": "/no/such"}
    result = tests_without_julia(
        "tests/parity/test_obtain_search.py", "-k", "juliacall or PATH or path or ctrl", **nonsense,
        PATH="/usr/bin:/bin", PYFLOSSING_CACHE="/no/such", PYFLOSSING_JULIA="/no/such",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
