"""What the site has beyond the pages as they stand: the README as its home, and equations as MathML."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
FROM_ROOT = {"README.md": "index.md", "CHANGELOG.md": "CHANGELOG.md", "CITATION.cff": "CITATION.cff"}
"""Files of the top level, and what they are called here."""


def on_files(files: Files, *, config: Any) -> Files:
    """Add the README as index.md, and what it links to outside docs/."""
    for name, place in FROM_ROOT.items():
        files.append(File.generated(config, place, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Lead links between the README and the pages to where both are here, and the paper map's names to the API."""
    if page.file.src_uri == "paper_map.md":
        markdown = re.sub(r"`(pyflossing\.[\w.]+)`", r"[`\1`][\1]", markdown)
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
