"""What a sweep's folder tells of its jobs: a summary, sweep.json, and a journal of what came after it, sweep.jsonl.

A job that ends costs one line of the journal, however many jobs there are. Both only repeat what the runs say, so that
a sweep can be told how it stands without its runs being read.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pyflossing._support.errors import DamagedFileError
from pyflossing._support.files import opened, write_atomically
from pyflossing._support.folders import writing
from pyflossing._support.json import parsed
from pyflossing._support.schema import Choice, Declaration, Items, Named, Number, OrNull, Table, Text
from pyflossing._support.words import plain
from pyflossing.sweeps.report import REPORT, JobReport

FORMAT = "pyflossing sweep 2"
_FORMATS = (FORMAT, "pyflossing sweep 1")
"""The first version did not tell of the results' files."""
SUMMARY, JOURNAL = "sweep.json", "sweep.jsonl"
_MOST_BYTES = 2**30
_LONGEST_LINE = 2**20
_NAME = Text(10_000)


class _Value:
    """A value of an axis: a text or a number."""

    def check(self, name: str, value: Any) -> None:
        (_NAME if isinstance(value, str) else Number(float)).check(name, value)


_PLACE: dict[str, Declaration] = {
    "name": _NAME,
    "condition": OrNull(_NAME),
    "at": Named(_Value(), most=1000),
    "folder": _NAME,
}
_ENTRY = Table({**_PLACE, **REPORT})
_SUMMARY = Table({"format": Choice(_FORMATS), "versions": Named(Text(200), most=50), "jobs": Items(_ENTRY)})
_LINE = Table({"name": _NAME, **REPORT})


def write_summary(folder: Path, document: Mapping[str, Any]) -> None:
    """Write sweep.json, atomically, and end the journal, which has nothing more to tell."""
    with writing(folder / SUMMARY):
        write_atomically(folder / SUMMARY, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
    with writing(folder / JOURNAL):
        (folder / JOURNAL).unlink(missing_ok=True)


def told(folder: Path) -> dict[str, JobReport]:
    """The jobs of a folder, by name, as its summary and its journal tell; none if it has neither.

    Raises:
        DamagedFileError: a ValueError: one of them is damaged.
    """
    found = _told_by(folder / SUMMARY, _of_summary)
    return found | _told_by(folder / JOURNAL, _of_journal)


class Journal:
    """The journal, open for appending.

    Args:
        folder: of the sweep.
        stream: its file.
    """

    def __init__(self, folder: Path, stream: BinaryIO) -> None:
        self._path, self._stream = folder / JOURNAL, stream

    def tell(self, name: str, report: JobReport) -> None:
        """Append how a job stands now.

        Raises:
            OSError: the file cannot be written.
        """
        with writing(self._path):
            self._stream.write((json.dumps({"name": name, **report.to_dict()}, allow_nan=False) + "\n").encode())


@contextmanager
def journal(folder: Path) -> Iterator[Journal]:
    """The journal of a folder whose summary was just written.

    Raises:
        OSError: it cannot be written.
    """
    with writing(folder / JOURNAL):
        stream = (folder / JOURNAL).open("wb", buffering=0)
    with stream:
        yield Journal(folder, stream)


def _told_by(path: Path, read: Any) -> dict[str, JobReport]:
    try:
        with opened(path) as stream:
            return {entry["name"]: _report(entry) for entry in read(stream)}
    except FileNotFoundError:
        return {}
    except ValueError as error:
        said = "it only repeats what the runs say, so it can be deleted"
        raise DamagedFileError(f"{plain(str(path))} is damaged ({error}): {said}") from None


def _of_summary(stream: BinaryIO) -> list[Any]:
    content = stream.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError("it is too long")
    document = parsed(content.decode())
    if isinstance(document, dict) and document.get("format") == _FORMATS[1] and isinstance(document.get("jobs"), list):
        for job in document["jobs"]:
            if isinstance(job, dict):
                job.setdefault("result", None)
    _SUMMARY.check("the summary", document)
    jobs: list[Any] = document["jobs"]
    return jobs


def _of_journal(stream: BinaryIO) -> Iterator[Any]:
    """Its whole lines; a killed sweep may have left a piece of one at the end."""
    for number in itertools.count(1):
        line = stream.readline(_LONGEST_LINE)
        if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
            return
        try:
            entry = parsed(line.decode())
            _LINE.check("the line", entry)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        yield entry


def _report(entry: Mapping[str, Any]) -> JobReport:
    return JobReport(**{name: entry[name] for name in REPORT})
