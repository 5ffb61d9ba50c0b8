"""The site describes every public name and every package. That its links and names are whole, `make docs` shows."""

from __future__ import annotations

import re

import pytest
from page_code import DOCS, ROOT

import pyflossing

INDEX = (DOCS / "api" / "index.md").read_text(encoding="utf-8")
PACKAGES = sorted(path.parent.name for path in (ROOT / "pyflossing").glob("*/__init__.py"))


def test_every_public_name_is_in_the_api_reference_once():
    assert sorted(re.findall(r"\]\[pyflossing\.(\w+)\]", INDEX)) == sorted({*pyflossing.__all__} - {"__version__"})


@pytest.mark.parametrize("package", [name for name in PACKAGES if name not in ("_support", "cli")])
def test_every_package_has_its_page(package):
    assert f"::: pyflossing.{package}\n" in (DOCS / "api" / f"{package}.md").read_text(encoding="utf-8")
    assert f"({package}.md)" in INDEX
