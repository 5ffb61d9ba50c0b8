"""What the site has beyond the pages as they stand: the README as its home, and equations as MathML."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

README = Path(__file__).parents[2] / "README.md"


def on_files(files: Files, *, config: Any) -> Files:
    """Add the README as index.md."""
    files.append(File.generated(config, "index.md", content=README.read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead links between the README and the pages to where both are here."""
    return markdown.replace("](docs/", "](").replace("](../README.md", "](index.md")


def on_page_content(content: str, **_: Any) -> str:
    """Turn LaTeX into MathML, which browsers show without a program."""
    content = re.sub(r'<div class="arithmatex">\\\[(.*?)\\\]</div>', _display, content, flags=re.DOTALL)
    return re.sub(r'<span class="arithmatex">\\\((.*?)\\\)</span>', _inline, content, flags=re.DOTALL)


def _inline(found: re.Match[str]) -> str:
    return convert(html.unescape(found[1]))


def _display(found: re.Match[str]) -> str:
    """An equation, with its number as a place that links can point to."""
    latex, number = re.subn(r"\\tag\{([^}]*)\}", "", html.unescape(found[1])), re.search(r"\\tag\{([^}]*)\}", found[1])
    shown = convert(latex[0], display="block")
    if number is None:
        return f'<div class="equation">{shown}</div>'
    return f'<div class="equation" id="eq-{number[1]}">{shown}<a href="#eq-{number[1]}">({number[1]})</a></div>'
