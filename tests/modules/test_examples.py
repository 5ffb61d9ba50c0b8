"""The examples run, shortened, and move the exponents towards the target; the page for users runs, too."""

from __future__ import annotations

import importlib

import pytest
from page_code import DOCS, blocks


@pytest.mark.parametrize(("name", "n_epochs"), [("floss_gru", 5), ("floss_snntorch", 12)])
def test_examples_move_exponents_and_draw_them(name, n_epochs, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(DOCS / "examples")
    example = importlib.import_module(name)
    path = tmp_path / "spectrum.png"
    before, after = example.main(path, n_epochs)
    far, near = ((s.exponents[:, : example.N_FLOSSED] - example.TARGET).abs().mean() for s in (before, after))
    assert near < 0.8 * far
    assert path.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.startswith(f"before: mean distance from the target {far:.3f} per step")


def test_exponents_of_recursive_reasoning_models_are_flossed(monkeypatch, capsys):
    monkeypatch.syspath_prepend(DOCS / "examples")
    before, after = importlib.import_module("recursive_reasoning").main(3)
    assert before.shape == (3, 4)
    assert after.mean() > before.mean()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    whole, alone = (lines[i].split(": ")[1] for i in (0, 6))
    assert whole == alone


def test_the_code_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    code = [block.text for block in blocks(DOCS / "modules.md", "python")]
    assert len(code) == 8
    exec("\n".join(code), {"__name__": "page"})
    assert "jacobian_action and double_backward: " in capsys.readouterr().out
