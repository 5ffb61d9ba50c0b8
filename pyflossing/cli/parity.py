"""``pyflossing parity``: ``python -m parity`` under another name."""

from __future__ import annotations

import typer

EXAMPLES = """\b
Examples:
  pyflossing parity --only weights --julia recorded
  pyflossing parity run my.toml --epochs 20
"""

CONTEXT = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
"""All arguments, --help included, are for the program behind it."""


def parity(context: typer.Context) -> None:
    """Compare pyflossing with Julia, number by number; arguments as those of python -m parity."""
    from parity.__main__ import main  # noqa: PLC0415 - it needs torch

    raise typer.Exit(main(context.args))
