"""Equations and sections of the specification are numbered, and what pages and docstrings cite of them exists."""

from __future__ import annotations

import re

import pytest
from page_code import DOCS, ROOT

TEXT = (DOCS / "specification.md").read_text(encoding="utf-8")
EQUATIONS = re.findall(r"\\tag\{(\d+\.\d+)\}", TEXT)
SECTIONS = dict(re.findall(r"^## (\d+)\. (.+)$", TEXT, flags=re.MULTILINE))
CITING = [
    ROOT / "README.md",
    *sorted(DOCS.rglob("*.md")),
    *sorted(path for place in ("pyflossing", "parity") for path in (ROOT / place).rglob("*.py")),
    *sorted((ROOT / "reference").rglob("*.jl")),
]
_NUMBER = r"\(([1-9]\d*\.[1-9]\d*)\)"


def cited_equations(text):
    """Numbers in brackets, a range such as (8.4) to (8.7) with all that it holds."""
    for first, last in re.findall(rf"{_NUMBER} to {_NUMBER}", text):
        section, begin = first.split(".")
        yield from (f"{section}.{n}" for n in range(int(begin), int(last.split(".")[1]) + 1))
    yield from re.findall(_NUMBER, text)


def cited_sections(text):
    """Numbers after "section" or "sections"; the specification is the only page that numbers them."""
    for numbers in re.findall(r"\b[Ss]ections? (\d+(?:(?:, | and | to )\d+)*)", text):
        yield from re.findall(r"\d+", numbers)


def anchors(page):
    """The places that a page's headings make, as GitHub and the site name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_code(path):
    text = path.read_text(encoding="utf-8")
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL) if path.suffix == ".md" else text


def test_sections_and_equations_are_numbered_in_order():
    assert list(SECTIONS) == [str(n) for n in range(1, len(SECTIONS) + 1)]
    expected: dict[str, int] = {}
    for number in EQUATIONS:
        section, place = number.split(".")
        expected[section] = expected.get(section, 0) + 1
        assert int(place) == expected[section], number
    for section, body in re.findall(r"^## (\d+)\.(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL):
        assert set(re.findall(r"\\tag\{(\d+)\.", body)) <= {section}


def test_every_displayed_equation_has_a_number():
    displayed = re.findall(r"^\$\$\n(.*?)^\$\$$", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert len(displayed) == len(EQUATIONS) > 40
    assert all(body.count(r"\tag{") == 1 for body in displayed)


def test_every_section_says_what_it_rests_on():
    for section, body in re.findall(r"^## (\d+)\.(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL):
        assert "*Rests on:*" in body or section == max(SECTIONS, key=int), section


@pytest.mark.parametrize("path", CITING, ids=lambda path: str(path.relative_to(ROOT)))
def test_cited_equations_and_sections_exist(path):
    text = without_code(path)
    if "pecification" in text:
        assert set(cited_equations(text)) <= set(EQUATIONS)
        assert set(cited_sections(text)) <= set(SECTIONS)
    assert not re.search(r"\bSPEC\b", text), "it is docs/specification.md"
    for place in re.findall(r"\]\((?:docs/)?specification\.md#([^)]+)\)", text):
        assert place in anchors(DOCS / "specification.md")


def test_the_paper_map_leads_from_every_equation_to_a_function():
    table = (DOCS / "paper_map.md").read_text(encoding="utf-8").split("## Equation → function")[1].split("\n## ")[0]
    assert set(cited_equations(table)) == set(EQUATIONS)
