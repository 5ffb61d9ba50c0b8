"""A Julia for files of one's own: what goes wrong is told in one message, and nothing is left behind."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from julia_process import descendants

import parity
from parity.arrays import TYPES, arrays
from parity.bridge.errors import JuliaAnswerTooLong

pytestmark = pytest.mark.julia
FILE = """
both(x) = (x, ndims(x))
named(x) = (sum = sum(x), text = "é")
table(x) = Dict(1 => x)
boom(x) = error("boom $x")
doze() = (sleep(60); 1)
abort() = ccall(:abort, Cvoid, ())
large() = zeros(2^28 + 1)
"""
MODULES = """
module One
export first_one
include("helper.jl")
first_one(x) = helper(x) + 1
end
module Two
second_one(x) = x + 2
end
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "my.jl").write_text(FILE, encoding="utf-8")
    (folder / "modules.jl").write_text(MODULES)
    (folder / "helper.jl").write_text("helper(x) = 10x\n")
    (folder / "wrong.jl").write_text("f(x) = (x +\n")
    (folder / "other.jl").write_text("both(x) = x\n")
    return folder


@pytest.fixture(scope="module")
def jl(folder, julia_installation):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in julia_installation.environment.items():
            patch.setenv(name, value)
        before = set(descendants(os.getpid()))
        with parity.julia("executable", path=str(julia_installation.executable)) as opened:
            opened.include(folder / "my.jl")
            yield opened
        assert set(descendants(os.getpid())) <= before


@settings(max_examples=12)
@given(x=arrays(["float32"]))
def test_a_drawn_array_comes_back_as_it_was(jl, x):
    back, dimensions = jl.call("both", x)
    assert parity.identical(back, x)
    assert dimensions == x.ndim
    assert x.dtype.name in TYPES


@pytest.mark.parametrize(
    ("file", "module", "message"),
    [
        ("wrong.jl", None, r"wrong\.jl does not load: LoadError: syntax: .*(\n.*)*wrong\.jl:1"),
        ("modules.jl", None, r"it has modules One, Two: name one of them"),
        ("modules.jl", "Three", r"it defines no module Three; it has: One, Two"),
    ],
)
def test_a_file_that_does_not_load_is_told_in_julias_words(jl, folder, file, module, message):
    with pytest.raises(parity.JuliaError, match=message):
        jl.include(folder / file, module=module)


def test_a_module_of_a_file_may_include_what_is_beside_it(jl, folder):
    assert set(jl.include(folder / "modules.jl", module="One")) == {"first_one", "helper"}
    assert jl.call("first_one", 2) == 21


def test_a_missing_file_and_a_name_that_is_taken(jl, folder):
    with pytest.raises(FileNotFoundError, match=r"there is no Julia file .*nowhere\.jl"):
        jl.include(folder / "nowhere.jl")
    with pytest.raises(ValueError, match=r"both is defined in .*my\.jl and in .*other\.jl"):
        jl.include(folder / "other.jl")


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("nothing", (), r"no included file has a function 'nothing'; there is .*boom, both"),
        ("table", (1,), r"cannot send a Dict\{Int64,Int64\} \(the result\)"),
        ("boom", (3,), r"^boom 3$"),
    ],
)
def test_errors_leave_julia_usable(jl, name, args, message):
    with pytest.raises(parity.JuliaError, match=message):
        jl.call(name, *args)
    assert jl.call("named", np.ones(2)) == {"sum": 2.0, "text": "é"}


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("abort", parity.JuliaCrashed, r"SIGABRT.* during the call of abort"),
        ("large", JuliaAnswerTooLong, r"the answer to the call of large has 2\.1 GB, and at most 2\.1 GB are read"),
    ],
)
def test_a_julia_that_had_to_end_says_why_and_can_be_opened_anew(jl, name, error, message):
    jl.revive()
    assert jl.call("named", np.ones(2))["sum"] == 2  # with its files
    with pytest.raises(error, match=message):
        jl.call(name, timeout=30)
    with pytest.raises(parity.JuliaConnectionError, match="open a new one"):
        jl.call("named", np.ones(2))


def test_a_check_that_ends_julia_leaves_the_next_one_a_new_julia(jl):
    jl.revive()
    checks = [
        parity.check_call("hang", lambda: 1, "doze", timeout=0.3),
        parity.check_call("after", lambda x: {"sum": x.sum(), "text": "é"}, "named", np.ones(2)),
    ]
    report = parity.run_checks(checks, jl)
    assert [outcome.status for outcome in report.outcomes] == ["failed", "passed"]
    assert report.exit_code == 1
    assert "JuliaTimeout: Julia was killed, because the call of doze took longer than 0.3 s" in " ".join(
        str(report).split()
    )
