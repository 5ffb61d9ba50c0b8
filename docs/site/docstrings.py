"""A griffe extension that adapts docstrings to the site before they are parsed."""

from __future__ import annotations

import re
from typing import Any

from griffe import Alias, Extension, Module, Object

_ROLE = re.compile(r":(?:func|class|meth|mod|attr|data):`~?([\w.]+)`")
_SEVERAL = re.compile(r"^( *)(\w+(?:, \w+)+): (.*(?:\n\1 +.*)*)", flags=re.MULTILINE)


class Docstrings(Extension):
    """Roles such as ``:func:`name` `` become links, and "a, b: both" an entry for each name."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called by griffe with every module, class, function and attribute."""
        if isinstance(obj, Module) and obj.exports is not None:
            obj.exports = [name for name in map(str, obj.exports) if not _is_elsewhere(obj.members.get(name))]
        if obj.docstring:
            obj.docstring.value = _SEVERAL.sub(_one_each, _ROLE.sub(_link, obj.docstring.value))


def _is_elsewhere(member: Object | Alias | None) -> bool:
    """Whether a name that a package hands out is described with the module that defines it."""
    return isinstance(member, Alias) and "._" not in member.target_path


def _link(role: re.Match[str]) -> str:
    name = role[1]
    private = name.rpartition(".")[2].startswith("_")  # is on no page
    return f"`{name}`" if private else f"[`{name}`][{name}]"


def _one_each(entry: re.Match[str]) -> str:
    indent, names, words = entry.groups()
    return "\n".join(f"{indent}{name}: {words}" for name in names.split(", "))
