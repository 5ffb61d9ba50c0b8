"""The README's Python runs as it stands, the long call in a small version."""

from __future__ import annotations

import re

import pytest
from page_code import ROOT, blocks

BLOCKS = [block.text for block in blocks(ROOT / "README.md", "python")]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_of_the_readme_runs(number, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, changes = re.subn(r"80, 3001, 100, 500, 500, 2", "80, 3, 2, 1, 1, 1", BLOCKS[number])
    exec(compile(code, "README.md", "exec"), {})
    assert changes == code.count("trainSRNNflossing(")
    assert capsys.readouterr().out


def test_the_readme_has_a_legacy_and_a_typed_call():
    assert len(BLOCKS) == 2
    assert "REPORT" not in (ROOT / "README.md").read_text(encoding="utf-8")
