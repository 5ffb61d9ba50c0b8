"""A griffe extension: the docstrings' ``:func:`name` `` become links of the site."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_ROLE = re.compile(r":(?:func|class|meth|mod|attr|data):`~?([\w.]+)`")


class Roles(Extension):
    """Rewrites roles of every docstring before it is parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called by griffe with every module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(r"[`\1`][\1]", obj.docstring.value)
