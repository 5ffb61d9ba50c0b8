"""The page for contributors: its Python runs, and its files, names and commands exist."""

from __future__ import annotations

import re

import matplotlib as mpl
import pytest
import torch
from page_code import DOCS, ROOT, blocks

from parity.runner import run_checks
from pyflossing.model import surrogates
from pyflossing.model.networks import Network

mpl.use("Agg")
PAGE = DOCS / "contributing.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page():
    """What the page's Python defines."""
    names = {"__name__": "page"}
    for _, code in blocks(PAGE, "python"):
        exec(compile(code, PAGE.name, "exec", dont_inherit=True), names)
    return names


def test_the_network_has_the_methods_of_the_protocol_and_is_trained(page):
    methods = {name for name in vars(Network) if not name.startswith("_")}
    assert methods <= set(dir(page["LeakyNetwork"]))
    assert len(page["result"].flossing_loss) == len(page["result"].loss) == 3


def test_the_surrogate_can_be_added_where_the_page_says(page, monkeypatch):
    monkeypatch.setitem(surrogates._SHAPES, "cosine", page["cosine"])
    monkeypatch.setitem(surrogates._SLOPES, "cosine", page["cosine_slope"])
    monkeypatch.setattr(surrogates, "SURROGATE_NAMES", (*surrogates.SURROGATE_NAMES, "cosine"))
    surrogate = surrogates.Surrogate("cosine", 0.7)
    v = torch.linspace(-2, 2, 40, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(surrogate.derivative(v).sum(), v)
    torch.testing.assert_close(surrogate.slope(v.detach()), slope)
    assert surrogate.derivative(torch.zeros(1)) == 1


@pytest.mark.julia
def test_the_comparison_passes_and_a_change_of_the_port_makes_it_fail(page, julia, monkeypatch):
    (outcome,) = run_checks([page["check"]], julia)
    assert outcome.status == "passed"
    monkeypatch.setattr(page["MersenneTwister"], "shuffle", lambda _, items: list(items))
    (outcome,) = run_checks([page["check"]], julia)
    assert outcome.status == "failed"


def test_the_figure_is_drawn_and_its_run_is_kept(page, tmp_path, monkeypatch):
    page["make"](tmp_path, n_epochs=2)
    monkeypatch.setitem(page, "train", None)  # the second time nothing is computed
    picture = page["make"](tmp_path, n_epochs=2)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.with_suffix(".json").exists()


def test_its_files_and_the_names_in_them_exist():
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    files = {name for name in re.findall(r"`([\w/.]+\.(?:py|jl))`", prose) if "/" in name}
    assert len(files) > 10
    sources = {file: (ROOT / file).read_text(encoding="utf-8") for file in files}
    names = {name for name in re.findall(r"`(\w+)`", prose) if name == name.upper() or "_" in name}
    assert len(names) > 6
    for name in names | {"derivative", "slope"}:
        assert any(re.search(rf"^(def |class )?{name}\b", text, flags=re.MULTILINE) for text in sources.values()), name


def test_its_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    ((_, commands),) = blocks(PAGE, "sh")
    for target in re.findall(r"^make (\w+)", commands, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
