"""The commands called within the tests' own process, where no signal, terminal or pipe matters."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pyflossing.cli.app import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Exit code, output and errors of a command, called in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        found = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return found.exit_code, found.stdout, found.stderr

    return call
